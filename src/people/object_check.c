/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What objects must fulfil, alone and among each other.  objects_check at the end goes through the set as it will be; above it
 * one function for each kind, above those the small grammars (URIs, LDAP filters).
 */
#include "people/object.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/network.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "people/catalog.h"

#define LOCATION_DEPTH_MAX 16
#define FILTER_DEPTH_MAX 16

struct check {
	struct op *op;
	const struct object *set;
	size_t n;
	struct problems *problems;
};

/* "apps.portal.redirect_uris" in front of what is wrong. */
static void
wrong(struct check *check, const struct object *object, const char *member, const char *sentence)
{
	const char *path =
	    op_printf(check->op, "%s.%s%s%s", object_kind_row(object->kind)->plural, object->name, *member ? "." : "", member);

	problems_add(check->problems, object->where, path, "%s", sentence);
}

/* An object of the set as it will be, or one that goes. */
static const struct object *
find(struct check *check, enum object_kind kind, const char *name, bool is_removed)
{
	const char *key = text_fold(check->op->mem, name);

	for (size_t i = 0; key && i < check->n; i++)
		if (check->set[i].kind == kind && !check->set[i].body == is_removed && !strcmp(check->set[i].name_key, key))
			return &check->set[i];
	return NULL;
}

static void
check_reference(struct check *check, const struct object *object, const char *member, enum object_kind kind, const char *name)
{
	const char *what = object_kind_row(kind)->name;

	if (!name || find(check, kind, name, false))
		return;
	if (find(check, kind, name, true))
		wrong(check, object, member, op_printf(check->op, "needs the %s %s, which cannot be removed before this is", what, name));
	else
		wrong(check, object, member, op_printf(check->op, "there is no %s called %s", what, name));
}

/* ---- grammars ---- */

static bool
is_host(const char *host, size_t n)
{
	if (!n || n > 253)
		return false;
	if (host[0] == '[')             /* RFC 3986 3.2.2: IP-literal */
		return n > 3 && host[n - 1] == ']' && strspn(host + 1, "0123456789abcdefABCDEF:.") == n - 2;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)host[i]) && host[i] != '-' && host[i] != '.')
			return false;
	return host[0] != '.' && host[0] != '-';
}

/* host[:port] with its length of authority; *ret_host_n is the host alone. */
static bool
is_authority(const char *text, size_t n, size_t *ret_host_n)
{
	size_t host_n = n && text[0] == '[' ? 0 : strcspn(text, ":");
	const char *port;

	if (n && text[0] == '[')
		host_n = memchr(text, ']', n) ? (size_t)((const char *)memchr(text, ']', n) - text) + 1 : 0;
	if (host_n > n)
		host_n = n;
	*ret_host_n = host_n;
	if (!is_host(text, host_n))
		return false;
	if (host_n == n)
		return true;
	port = text + host_n + 1;
	n -= host_n + 1;
	return text[host_n] == ':' && n >= 1 && n <= 5 && strspn(port, "0123456789") >= n && atoi(port) >= 1 && atoi(port) <= 65535;
}

static bool
is_loopback(const char *host, size_t n)
{
	static const char *const names[] = { "127.0.0.1", "[::1]", "localhost" };

	for (size_t i = 0; i < countof(names); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], host, n))
			return true;
	return false;
}

/* Only characters of RFC 3986 2, and every % with two hexadecimal digits. */
static bool
is_uri_text(const char *uri)
{
	static const char marks[] = "-._~:/?#[]@!$&'()*+,;=";

	for (const char *c = uri; *c; c++) {
		if (*c == '%') {
			if (!isxdigit((unsigned char)c[1]) || !isxdigit((unsigned char)c[2]))
				return false;
		} else if ((unsigned char)*c >= 0x80 || (!isalnum((unsigned char)*c) && !strchr(marks, *c))) {
			return false;
		}
	}
	return true;
}

const char *
object_uri_problem(const char *uri)
{
	bool is_plain = text_starts_with(uri, "http://");
	const char *authority = uri + (is_plain ? 7 : 8);
	size_t n, host_n;

	/* RFC 9700 2.1: exact comparison needs one way to write it; control characters and blanks have none. */
	if (!is_uri_text(uri))
		return "holds a character that no URI may hold (blank, control character, quote, backslash, non-ASCII, lone %)";
	if (!is_plain && !text_starts_with(uri, "https://"))
		return "must begin with https:// (http:// is allowed only for 127.0.0.1, [::1] and localhost)";
	/* RFC 6749 3.1.2: no fragment. */
	if (strchr(uri, '#'))
		return "must not have a fragment (#)";
	/* RFC 9700 4.1: patterns in redirect URIs were the root of many stolen codes. */
	if (strchr(uri, '*'))
		return "must be one exact address; wildcards (*) are not supported";
	n = strcspn(authority, "/?");
	/* RFC 9700 4.1.1: user information hides where a browser really goes. */
	if (memchr(authority, '@', n))
		return "must not have a user name in front of the host (@)";
	if (!is_authority(authority, n, &host_n))
		return "has no proper host and port";
	/* RFC 8252 7.3 and 8.3: clear text only to the same machine. */
	if (is_plain && !is_loopback(authority, host_n))
		return "must begin with https:// (http:// is allowed only for 127.0.0.1, [::1] and localhost)";
	return NULL;
}

/*
 * An address must be written as everybody reads it: "127.1" and "2130706433" are 127.0.0.1 to a resolver and a name to whoever approves of
 * them.  And no directory is where clouds keep their metadata, or at "all" and "here" (net/dial.c looks again at what a name resolves to).
 */
static const char *
host_oddity(const char *host, size_t n)
{
	char text[256];
	const char *last;
	struct address address;
	bool is_literal;

	if (host[0] == '[') {
		host++;
		n -= 2;
	}
	if (n >= sizeof(text))
		return "names a host that is too long";
	memcpy(text, host, n);
	text[n] = '\0';
	is_literal = address_read(text, &address);
	last = strrchr(text, '.');
	last = last ? last + 1 : text;
	/* a name never ends with a number (RFC 1123 2.1) */
	if (!is_literal && (isdigit((unsigned char)last[0]) || !*last))
		return "must be a host's name or its address in full, for example 192.0.2.7";
	if (is_literal && address_oddity(&address))
		return "is an address where no directory is: link-local, multicast, or one that means all or here";
	return NULL;
}

const char *
object_ldap_url_problem(const char *url, bool is_starttls)
{
	bool is_ldaps = text_starts_with(url, "ldaps://");
	const char *authority = url + (is_ldaps ? 8 : 7);
	size_t host_n;

	if (!is_ldaps && !text_starts_with(url, "ldap://"))
		return "must begin with ldaps://, or with ldap:// and starttls: true";
	/* RFC 4513 6.3.1: a password over clear text belongs to whoever listens. */
	if (!is_ldaps && !is_starttls)
		return "ldap:// sends passwords in clear text; use ldaps://, or add starttls: true";
	if (is_ldaps && is_starttls)
		return "ldaps:// is encrypted from the start; leave starttls out, or use ldap://";
	if (!is_authority(authority, strlen(authority), &host_n))
		return "must be host or host:port after the //, and nothing behind it";
	return host_oddity(authority, host_n);
}

/* One filter in parentheses (RFC 4515 3); returns what follows it, or NULL. */
static const char *
filter_skip(const char *c, int depth)
{
	if (*c++ != '(' || depth > FILTER_DEPTH_MAX)
		return NULL;
	if (*c == '&' || *c == '|' || *c == '!') {
		char kind = *c++;
		int n = 0;

		for (; c && *c == '('; n++)
			c = filter_skip(c, depth + 1);
		return c && *c == ')' && n && (kind != '!' || n == 1) ? c + 1 : NULL;
	}
	if (!isalpha((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != ':')
		return NULL;
	c += strcspn(c, "=()");
	if (*c++ != '=')
		return NULL;
	for (; *c && *c != '(' && *c != ')'; c++)
		if (*c == '\\' && (!isxdigit((unsigned char)c[1]) || !isxdigit((unsigned char)c[2])))
			return NULL;
	return *c == ')' ? c + 1 : NULL;
}

const char *
object_filter_problem(const char *filter)
{
	const char *end = filter_skip(filter, 0);

	return end && !*end ? NULL
			    : "is not an LDAP filter: write it as (attribute=value), (&(...)(...)), (|(...)(...)) or (!(...)), "
			      "with every ( closed and the characters ( ) * \\ of a value as \\28 \\29 \\2a \\5c";
}

/* RFC 4512 2.5: a name, or numbers with dots; no options. */
static bool
is_attribute_name(const char *name)
{
	if (isalpha((unsigned char)*name)) {
		while (isalnum((unsigned char)*name) || *name == '-')
			name++;
		return !*name;
	}
	return *name && strspn(name, "0123456789.") == strlen(name);
}

/* ---- kinds ---- */

static void
check_name(struct check *check, const struct object *object)
{
	const char *name = object->name;
	size_t n = strlen(name);

	if (!n || isspace((unsigned char)name[0]) || isspace((unsigned char)name[n - 1]))
		wrong(check, object, "name", "must not be empty and not begin or end with a blank");
	/* Names are segments of paths and parts of messages. */
	else if (strchr(name, '/') || strchr(name, '\\') || strchr(name, '"') || !strcmp(name, ".") || !strcmp(name, "..") ||
		 text_has_control(name))
		wrong(check, object, "name", "must not hold / \\ \" or control characters");
}

/* Empty, blank or double words in a list. */
static void
check_words(struct check *check, const struct object *object, const char *member, const struct strings *words)
{
	for (size_t i = 0; i < words->n; i++) {
		if (!*words->v[i] || strpbrk(words->v[i], " \t\r\n\"\\"))
			wrong(check, object, member, op_printf(check->op, "\"%s\" must be one word without quotes", words->v[i]));
		for (size_t k = 0; k < i; k++)
			if (!strcmp(words->v[i], words->v[k]))
				wrong(check, object, member, op_printf(check->op, "%s stands here twice", words->v[i]));
	}
}

static void
check_role(struct check *check, const struct object *object)
{
	const struct shape_role *role = object->body;

	check_words(check, object, "permissions", &role->permissions);
	check_words(check, object, "never", &role->never);
	for (size_t i = 0; i < role->permissions.n; i++)
		for (size_t k = 0; k < role->never.n; k++)
			if (!strcmp(role->permissions.v[i], role->never.v[k]))
				wrong(check, object, "never",
				    op_printf(check->op, "%s stands under permissions, too", role->never.v[k]));
}

static void
check_location(struct check *check, const struct object *object)
{
	const struct object *at = object;

	for (int depth = 0; at; depth++) {
		const char *parent = ((const struct shape_location *)at->body)->parent;

		if (depth && at == object) {
			wrong(check, object, "parent", "the location would lie within itself");
			return;
		}
		if (depth > LOCATION_DEPTH_MAX) {
			wrong(check, object, "parent",
			    op_printf(check->op, "locations may be nested %d deep, or lie in a circle above this one",
				LOCATION_DEPTH_MAX));
			return;
		}
		if (!parent)
			return;
		if (at == object)
			check_reference(check, object, "parent", OBJECT_LOCATION, parent);
		at = find(check, OBJECT_LOCATION, parent, false);
	}
}

static void
check_rule(struct check *check, const struct object *object)
{
	const struct shape_rule *rule = object->body;
	int conditions = !!rule->group + !!rule->group_id + !!rule->group_pattern + !!rule->attribute;

	check_reference(check, object, "directory", OBJECT_DIRECTORY, rule->directory);
	check_reference(check, object, "role", OBJECT_ROLE, rule->role);
	check_reference(check, object, "location", OBJECT_LOCATION, rule->location);
	if (conditions != 1)
		wrong(check, object, "",
		    op_printf(check->op,
			"a rule has exactly one condition: group, group_id, group_pattern, or attribute with equals; "
			"this one has %d",
			conditions));
	if (!rule->attribute != !rule->equals)
		wrong(check, object, rule->attribute ? "attribute" : "equals", "attribute and equals belong together");
	if (rule->attribute && !is_attribute_name(rule->attribute))
		wrong(check, object, "attribute", "is not the name of an LDAP attribute");
	if (rule->equals && !*rule->equals)
		wrong(check, object, "equals", "must not be empty");
	if ((rule->group && !strchr(rule->group, '=')) || (rule->group_pattern && !strchr(rule->group_pattern, '=')))
		wrong(check, object, rule->group ? "group" : "group_pattern",
		    "must be a DN, for example cn=nurses,ou=groups,dc=clinic,dc=test");
	if (rule->group_id && !uuid_is_valid(rule->group_id))
		wrong(check, object, "group_id", "must be a UUID in lower case");
}

static void
check_attribute(struct check *check, const struct object *object, const char *member, const char *name)
{
	if (name && !is_attribute_name(name))
		wrong(check, object, member, "is not the name of an LDAP attribute");
}

static void
check_dn(struct check *check, const struct object *object, const char *member, const char *dn)
{
	if (dn && !strchr(dn, '='))
		wrong(check, object, member, "must be a DN, for example ou=people,dc=clinic,dc=test");
}

static void
check_filter(struct check *check, const struct object *object, const char *member, const char *filter)
{
	const char *problem = filter ? object_filter_problem(filter) : NULL;

	if (problem)
		wrong(check, object, member, problem);
}

static const char *const id_forms[] = {
#define SOURCE_ID(name, text) #name,
#include "tables/sources.def"
#undef SOURCE_ID
};

static const char *const end_forms[] = {
#define SOURCE_END(name, text) #name,
#include "tables/sources.def"
#undef SOURCE_END
};

static void
check_word(struct check *check, const struct object *object, const char *member, const char *word, const char *const *words, size_t n)
{
	struct buf list = buf_in(check->op->mem);

	for (size_t i = 0; word && i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return;
		buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i]);
	}
	if (word)
		wrong(check, object, member, op_printf(check->op, "must be %s", list.text));
}

/* Kerberos encrypts the connection itself, and Active Directory refuses to do so inside TLS; people's passwords need TLS all the same. */
static void
check_kerberos(struct check *check, const struct object *object)
{
	const struct shape_directory *directory = object->body;
	const char *at = strrchr(directory->bind_dn, '@'), *problem;

	if (!directory->starttls)
		wrong(check, object, "starttls", "with bind_method gssapi the url is ldap:// and starttls true: people's passwords "
		    "go through StartTLS, the service account's connection is encrypted by Kerberos");
	if (!at || at == directory->bind_dn || !at[1] || strchr(directory->bind_dn, '='))
		wrong(check, object, "bind_dn",
		    "with bind_method gssapi is a Kerberos name with its realm, for example keyward@CLINIC.TEST");
	problem = directory->keytab ? secret_reference_problem(directory->keytab) : "is needed with bind_method gssapi";
	if (problem)
		wrong(check, object, "keytab", problem);
	if (directory->password)
		wrong(check, object, "password", "is not used with bind_method gssapi, which has a keytab");
	if (directory->kdc && (!*directory->kdc || strpbrk(directory->kdc, "/@ \t")))
		wrong(check, object, "kdc", "must be a host, or host:port");
}

static void
check_account(struct check *check, const struct object *object)
{
	const struct shape_directory *directory = object->body;
	const char *problem = directory->password ? secret_reference_problem(directory->password) : NULL;

	if (catalog_is_kerberos(directory)) {
		check_kerberos(check, object);
		return;
	}
	/* Active Directory takes a userPrincipalName for a simple bind, too; no kind: it is being looked at */
	if (!strchr(directory->bind_dn, '@') || (directory->kind && strcmp(directory->kind, "ad") != 0))
		check_dn(check, object, "bind_dn", directory->bind_dn);
	if (problem)
		wrong(check, object, "password", problem);
	if (directory->keytab || directory->kdc)
		wrong(check, object, directory->keytab ? "keytab" : "kdc", "belongs to bind_method gssapi");
}

static void
check_directory(struct check *check, const struct object *object)
{
	const struct shape_directory *directory = object->body;
	const char *problem = object_ldap_url_problem(directory->url, directory->starttls);

	if (problem)
		wrong(check, object, "url", problem);
	check_dn(check, object, "base", directory->base);
	check_dn(check, object, "group_base", directory->group_base);
	check_account(check, object);
	check_filter(check, object, "filter", directory->filter);
	check_filter(check, object, "group_filter", directory->group_filter);
	check_attribute(check, object, "id_attribute", directory->id_attribute);
	check_attribute(check, object, "login_attribute", directory->login_attribute);
	check_attribute(check, object, "other_login_attribute", directory->other_login_attribute);
	check_attribute(check, object, "name_attribute", directory->name_attribute);
	check_attribute(check, object, "mail_attribute", directory->mail_attribute);
	for (size_t i = 0; i < directory->member_attributes.n; i++)
		check_attribute(check, object, "member_attributes", directory->member_attributes.v[i]);
	check_word(check, object, "id_form", directory->id_form, id_forms, countof(id_forms));
	check_word(check, object, "expires_form", directory->expires_form, end_forms, countof(end_forms));
	check_attribute(check, object, "disabled_attribute", directory->disabled_attribute);
	check_attribute(check, object, "expires_attribute", directory->expires_attribute);
	if (!directory->disabled_attribute != !directory->disabled_value)
		wrong(check, object, "disabled_attribute", "disabled_attribute and disabled_value belong together");
	if (directory->ca && !strstr(directory->ca, "-----BEGIN CERTIFICATE-----"))
		wrong(check, object, "ca", "must hold certificates in PEM");
	if (directory->ca && strstr(directory->ca, "PRIVATE KEY-----"))
		wrong(check, object, "ca", "holds a private key; only certificates belong here");
}

static void
check_uris(struct check *check, const struct object *object, const char *member, const struct strings *uris)
{
	for (size_t i = 0; i < uris->n; i++) {
		const char *problem = object_uri_problem(uris->v[i]);

		if (problem)
			wrong(check, object, member, op_printf(check->op, "%s %s", uris->v[i], problem));
		for (size_t k = 0; k < i; k++)
			if (!strcmp(uris->v[i], uris->v[k]))
				wrong(check, object, member, op_printf(check->op, "%s stands here twice", uris->v[i]));
	}
}

static void
check_app(struct check *check, const struct object *object)
{
	const struct shape_app *app = object->body;
	bool is_service = !strcmp(app->type, "service");
	bool is_public = !strcmp(app->type, "public");

	for (const char *c = app->name; *c; c++)
		if ((unsigned char)*c >= 0x80 || (!isalnum((unsigned char)*c) && !strchr("._-", *c))) {
			wrong(check, object, "name", "is also the client_id: only letters, digits, dot, dash and underscore");
			break;
		}
	check_uris(check, object, "redirect_uris", &app->redirect_uris);
	check_uris(check, object, "post_logout_uris", &app->post_logout_uris);
	check_words(check, object, "scopes", &app->scopes);
	/* RFC 6749 4.4: a service signs nobody in, so nothing may be sent anywhere. */
	if (is_service && (app->redirect_uris.n || app->post_logout_uris.n))
		wrong(check, object, "redirect_uris",
		    "a service application signs nobody in and has no redirect or post-logout URIs");
	if (!is_service && !app->redirect_uris.n)
		wrong(check, object, "redirect_uris",
		    "at least one is needed; an application that signs nobody in is of type service");
	/* RFC 9700 2.1.1: public clients must use PKCE. */
	if (is_public && app->pkce_optional)
		wrong(check, object, "pkce_optional", "a public application must use PKCE (RFC 9700 2.1.1)");
	if (app->audience && !*app->audience)
		wrong(check, object, "audience", "must not be empty");
}

void
objects_check(struct op *op, const struct object *set, size_t n, struct problems *problems)
{
	static void (*const by_kind[OBJECT_KINDS])(struct check *check, const struct object *object) = {
		[OBJECT_ROLE] = check_role,
		[OBJECT_LOCATION] = check_location,
		[OBJECT_DIRECTORY] = check_directory,
		[OBJECT_RULE] = check_rule,
		[OBJECT_APP] = check_app,
	};
	struct check check = { op, set, n, problems };

	for (size_t i = 0; i < n; i++) {
		if (!set[i].body)
			continue;
		check_name(&check, &set[i]);
		by_kind[set[i].kind](&check, &set[i]);
	}
}
