#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# The template compiler: what is safe compiles, what is not fails with a message that names the template and leaves no output.
. "${srcdir:-.}/tests/lib.sh"
tmpl=$abs_builddir/src/build/tmpl
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-tmpl.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
printf 'word = Word\nfilled = With {} inside\n' >"$work/en.msg"
printf '<svg xmlns="http://www.w3.org/2000/svg"/>' >"$work/logo.svg"
head='@str value
@str other
@bool is_on
@list items name
'

# compile BODY: 0 when the tool accepts it
compile()
{
  printf '%s%s' "$head" "$1" >"$work/page.html"
  rm -f "$work"/out/*
  "$tmpl" "$work/out" "$work/en.msg" "$work/logo.svg" "$work/page.html" 2>"$work/errors"
}

accepted()
{
  compile "$2"
  point $? "accepted: $1"
  [ -s "$work/errors" ] && sed 's/^/# /' "$work/errors"
  return 0
}

refused()
{
  compile "$2"
  [ $? -eq 1 ] && [ ! -e "$work/out/pages.c" ] && grep -q "^page.html:[0-9]*: .*$3" "$work/errors"
  point $? "refused: $1"
}

calls()
{
  compile "$2" && grep -q "$3" "$work/out/pages.c"
  point $? "escaped for its place: $1"
}

calls "text" '<p>{{value}}</p>' 'web_put_text(out, page->value)'
calls "quoted attribute" '<input value="{{value}}">' 'web_put_text(out, page->value)'
calls "single quotes" "<input value='{{value}}'>" 'web_put_text(out, page->value)'
calls "title" '<title>{{value}}</title>' 'web_put_text(out, page->value)'
calls "textarea" '<textarea name="x">{{value}}</textarea>' 'web_put_text(out, page->value)'
calls "whole address" '<a href="{{value}}">1</a>' 'web_put_url(out, page->value)'
calls "part of an address" '<a href="/x?y={{value}}">1</a>' 'web_put_url_part(out, page->value)'
calls "part behind a whole address" '<a href="{{value}}?y={{other}}">1</a>' 'web_put_url_part(out, page->other)'
calls "form action" '<form action="{{value}}"></form>' 'web_put_url(out, page->value)'
calls "word" '<p>{{t word}}</p>' 'WEB_word), NULL)'
calls "word with a value" '<p>{{t filled value}}</p>' 'WEB_filled), page->value)'
calls "item of a list" '{{#each items}}<li>{{name}}</li>{{/each}}' 'web_put_text(out, item0->name)'
accepted "condition around elements" '{{#if value}}<p>{{value}}</p>{{else}}<b>1</b>{{/if}}'
accepted "condition around an attribute" '<input {{#if is_on}}autofocus {{/if}}name="a">'
accepted "negation" '{{#if !value}}<p>1</p>{{/if}}'
accepted "asset" '<img src="{{asset logo.svg}}" alt="">'
accepted "empty script of our own" '<script src="/x.js"></script>'
accepted "entities" '<p>&amp;&nbsp;&lt;</p>'
accepted "comment without values" '<!-- a remark --><p>1</p>'

refused "attribute without quotes" '<input value={{value}}>' 'quote'
refused "literal attribute without quotes" '<input value=a>' 'quote'
refused "event handler" '<p onclick="{{value}}">1</p>' 'event handlers'
refused "literal event handler" '<p ONclick="go()">1</p>' 'event handlers'
refused "style attribute" '<p style="color:{{value}}">1</p>' 'refused'
refused "srcset" '<img srcset="{{value}}" alt="">' 'refused'
refused "srcdoc" '<p srcdoc="{{value}}">1</p>' 'refused'
refused "ping" '<a href="/" ping="{{value}}">1</a>' 'refused'
refused "comment" '<!-- {{value}} --><p>1</p>' 'comment'
refused "name of a tag" '<{{value}}>1' 'name of a tag'
refused "part of a name of a tag" '<h{{value}}>1' 'name of a tag'
refused "name of an attribute" '<p {{value}}="1">1</p>' 'name of a tag or attribute'
refused "whole attribute" '<p {{value}}>1</p>' 'name of a tag or attribute'
refused "script" '<script>{{value}}</script>' 'script'
refused "literal script" '<script>go()</script>' 'script'
refused "style element" '<style>{{value}}</style>' 'style'
refused "literal style element" '<style>p{}</style>' 'style'
refused "end of a script hidden in it" '<script> </scr{{value}}</script>' 'script'
refused "meta refresh" '<meta http-equiv="refresh" content="0">' 'http-equiv'
refused "content of meta" '<meta name="a" content="{{value}}">' 'not known to be harmless'
refused "unknown attribute" '<p frob="{{value}}">1</p>' 'not known to be harmless'
refused "javascript address" '<a href="javascript:go()">1</a>' 'path or https'
refused "javascript address, capitals" '<a href="JavaScript:{{value}}">1</a>' 'must come behind\|path or https'
refused "data address" '<a href="data:text/html,x">1</a>' 'path or https\|refused'
refused "address of another host without scheme" '<a href="//evil.test">1</a>' 'without scheme'
refused "the same with a backslash" '<a href="/\evil.test">1</a>' 'without scheme'
refused "path behind a whole address" '<a href="{{value}}/x">1</a>' 'behind a whole address'
refused "value as scheme" '<a href="java{{value}}">1</a>' 'must come behind'
refused "value as host" '<a href="https:{{value}}">1</a>' 'must come behind'
refused "image from a value" '<img src="{{value}}" alt="">' 'must be an asset'
refused "script from a value" '<script src="{{value}}"></script>' 'must be an asset'
refused "style sheet from a value" '<link rel="stylesheet" href="{{value}}">' 'must be an asset'
refused "icon from a value" '<svg><use href="{{value}}"/></svg>' 'must be an asset'
refused "base" '<base href="/">' 'element is refused'
refused "iframe" '<iframe src="/"></iframe>' 'element is refused'
refused "object" '<object></object>' 'element is refused'
refused "condition inside an address" '<a href="{{#if value}}/x{{/if}}">1</a>' 'inside an address'
refused "condition inside the name of a tag" '<p{{#if value}} {{/if}}>1</p>' 'no condition'
refused "ways that end in different places" '{{#if value}}<p>{{/if}}1</p>' 'same place'
refused "quote that only one way closes" '<input value="{{#if is_on}}" {{/if}}name="a">' 'same place'
refused "condition that is never ended" '{{#if value}}<p>1</p>' 'not ended'
refused "else without condition" '{{else}}' 'else'
refused "element that stays open" '<div><p>1</p>' 'still open'
refused "wrong end tag" '<div><p>1</div></p>' 'end tag'
refused "tag that is cut off" '<p>1</p><a href="/' 'still open'
refused "unknown field" '<p>{{nothing}}</p>' 'no such field'
refused "bool as text" '<p>{{is_on}}</p>' 'only a string'
refused "unknown word" '<p>{{t nothing}}</p>' 'no such key'
refused "word that wants a value" '<p>{{t filled}}</p>' 'wants a field'
refused "word that wants none" '<p>{{t word value}}</p>' 'wants'
refused "word as address" '<a href="{{t word}}">1</a>' 'cannot be an address'
refused "unknown asset" '<img src="{{asset nothing.svg}}" alt="">' 'no such asset'
refused "unknown template" '{{> nothing}}' 'no such template'
refused "words outside messages" '<p>Hello</p>' 'belong in messages'
refused "words in a title" '<title>Hello</title>' 'belong in messages'
refused "words in alt" '<img src="{{asset logo.svg}}" alt="Hello">' 'belong in messages'
refused "words in aria-label" '<p aria-label="Hello">1</p>' 'belong in messages'
refused "value inside an entity" '<p>&{{value}};</p>' 'entity'
refused "open braces" '<p>{{value</p>' 'without'
refused "no blank between attributes" '<p id="a"class="b">1</p>' 'blank'

# a refusal reaches make
printf '%s<p onclick="{{value}}">1</p>' "$head" >"$work/bad.html"
printf '%s<p>{{value}}</p>' "$head" >"$work/page.html"
"$tmpl" "$work/out" "$work/en.msg" "$work/page.html" "$work/bad.html" 2>/dev/null
[ $? -eq 1 ] && [ ! -e "$work/out/pages.c" ] && [ ! -e "$work/out/pages.h" ]
point $? "one bad template among good ones fails the whole"
finish
