/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What values become in a page: hostile ones stay text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "web/pages.h"

static struct arena *mem;

static void
set_up(void)
{
	mem = arena_new();
}

static void
tear_down(void)
{
	arena_free(mem);
}

TestSuite(web, .init = set_up, .fini = tear_down);

static const char *
put(void (*how)(struct buf *, const char *), const char *value)
{
	struct buf buf = buf_in(mem);

	how(&buf, value);
	return buf.text;
}

Test(web, text_cannot_become_markup)
{
	cr_expect_str_eq(put(web_put_text, "<img src=x onerror=\"go()\">"), "&lt;img src=x onerror=&quot;go()&quot;&gt;");
	cr_expect_str_eq(put(web_put_text, "O'Brien & Söhne"), "O&#39;Brien &amp; Söhne");
	cr_expect_str_eq(put(web_put_text, "a\x1b[31mb\x7f"), "a\xef\xbf\xbd[31mb\xef\xbf\xbd");
	cr_expect_str_eq(put(web_put_text, "a\tb\nc"), "a\tb\nc");
	cr_expect_str_eq(put(web_put_text, NULL), "");
}

Test(web, addresses_that_run_or_leave_are_blocked)
{
	static const char *const bad[] = { "javascript:go()", "JAVASCRIPT:go()", " javascript:go()", "java\tscript:go()",
		"data:text/html,x",
		"vbscript:x", "//evil.test/", "/\\evil.test", "\\\\evil.test", "/a b", "https://a.test/\r\nx",
		"file:///etc/passwd", "",
		"https:evil.test", "evil.test", "\x01javascript:x", NULL };
	static const char *const good[] = { "/", "/account", "/a?b=c#d", "?x=y", "#main", "https://keyward.test/source",
		"http://localhost:8080/x" };

	for (size_t i = 0; bad[i]; i++)
		cr_expect_str_eq(put(web_put_url, bad[i]), "#blocked", "%s", bad[i]);
	for (size_t i = 0; i < countof(good); i++)
		cr_expect_str_eq(put(web_put_url, good[i]), good[i]);
	cr_expect_str_eq(put(web_put_url, NULL), "#blocked");
	cr_expect_str_eq(put(web_put_url, "/a?b=\"><script>"), "/a?b=&quot;&gt;&lt;script&gt;");
}

Test(web, parts_of_addresses_are_percent_encoded)
{
	cr_expect_str_eq(put(web_put_url_part, "a b/c?d=e&f#g:\\é~._-"), "a%20b%2Fc%3Fd%3De%26f%23g%3A%5C%C3%A9~._-");
}

Test(web, words_take_their_value_escaped)
{
	struct buf buf = buf_in(mem);

	web_put_word(&buf, "<{}> end", "<b>{}</b>");
	cr_expect_str_eq(buf.text, "&lt;&lt;b&gt;{}&lt;/b&gt;&gt; end");
}

/* CVE-2026-29191 and its like: markup from directory data in the pages that show it. */
Test(web, a_whole_page_holds_no_foreign_markup)
{
	static const char evil[] = "\"><script>go()</script><img src=x onerror=go()>'\xe2\x80\xae";
	struct web_account_roles role = { evil, evil, evil };
	struct web_account_sessions session = { .id = evil, .device = evil, .address = evil, .since = evil, .since_iso = evil,
		.seen = evil, .seen_iso = evil };
	struct web_account account = { .done = evil, .display_name = evil, .login = evil, .mail = evil, .directory = evil,
		.csrf = evil,
		.roles = &role, .n_roles = 1, .sessions = &session, .n_sessions = 1, .has_others = true, .organisation = evil,
		.source_url = evil,
		.service_desk = evil };
	struct web_login login = { .problem = evil, .login_error = evil, .password_error = evil, .is_rejected = true,
		.app_title = evil,
		.login = evil, .then = evil, .csrf = evil, .organisation = evil, .source_url = evil, .service_desk = evil,
		.idle_minutes = evil };
	const char *pages[] = { web_account(mem, "en", &account), web_login(mem, "en", &login) };

	for (size_t i = 0; i < countof(pages); i++) {
		cr_expect_null(strstr(pages[i], "<script"));
		cr_expect_null(strstr(pages[i], "<img src=x"));
		cr_expect(strstr(pages[i], "&lt;script&gt;"));
		cr_expect(strstr(pages[i], "href=\"#blocked\""));
	}
}

Test(web, assets_have_their_hash_in_the_name)
{
	struct web_signed_out page = { .organisation = "x", .source_url = "/" };
	const char *html = web_signed_out(mem, "en", &page), *at = strstr(html, "/assets/app-");
	char name[64] = "";

	cr_assert(at);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 8, "\""), at + 8);
	cr_assert(web_asset_find(name), "%s", name);
	cr_expect_str_eq(web_asset_find(name)->type, "text/css; charset=utf-8");
	cr_expect_null(web_asset_find("app.css"));
	cr_expect_null(web_asset_find("../en.msg"));
}

Test(web, every_page_has_the_source_link)
{
	struct web_error error = { .organisation = "x", .source_url = "https://keyward.test/source" };
	struct web_login login = { .source_url = error.source_url };
	struct web_account account = { .source_url = error.source_url };
	struct web_signed_out out = { .source_url = error.source_url };
	struct web_logout_confirm confirm = { .source_url = error.source_url };
	const char *pages[] = { web_error(mem, "en", &error), web_login(mem, "en", &login), web_account(mem, "en", &account),
		web_signed_out(mem, "en", &out), web_logout_confirm(mem, "en", &confirm) };

	for (size_t i = 0; i < countof(pages); i++) {
		cr_expect(strstr(pages[i], "<a href=\"https://keyward.test/source\">"), "page %zu", i);
		cr_expect(strstr(pages[i], "<html lang=\"en\">"), "page %zu", i);
		cr_expect(strstr(pages[i], "href=\"#main\""), "page %zu: skip link", i);
		cr_expect(strstr(pages[i], "id=\"main\""), "page %zu", i);
		cr_expect_null(strstr(pages[i], "<script"), "page %zu", i);
	}
}
