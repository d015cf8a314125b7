# SPDX-License-Identifier: AGPL-3.0-or-later
# Makes schema.c of the files of src/store/schema, given in order: the steps as texts, and every column that they make, which copying
# goes by (include/store/copy.h).  It knows what steps may do to tables: CREATE TABLE with a column a line, ALTER TABLE ... ADD COLUMN,
# DROP COLUMN, DROP TABLE.  A step that does something else to a table fails the build.
function fail(why) { print FILENAME ":" FNR ": schema.awk: " why > "/dev/stderr"; failed = 1; exit 1 }
function gone(table, column,   i) {
	for (i = 1; i <= columns; i++)
		if (of[i] == table && (column == "" || name_of[i] == column) && !until[i]) until[i] = version
}
function add(table, text,   word, i) {
	split(text, word, /[ \t,;]+/)
	if (word[2] !~ /^@(int|text|blob)$/) fail("column " word[1] " of " table " needs one of @int @text @blob")
	columns++
	of[columns] = table; name_of[columns] = word[1]; type[columns] = toupper(substr(word[2], 2)); since[columns] = version
	key[columns] = text ~ /PRIMARY KEY/; refers[columns] = ""
	if (text ~ /REFERENCES/) { sub(/.*REFERENCES[ \t]+/, "", text); sub(/[ \t(].*/, "", text); refers[columns] = text }
}
function keys(table, text,   list, n, i, k) {
	sub(/.*PRIMARY KEY[ \t]*\(/, "", text); sub(/\).*/, "", text)
	n = split(text, list, /[ \t]*,[ \t]*/)
	for (k = 1; k <= n; k++)
		for (i = 1; i <= columns; i++)
			if (of[i] == table && name_of[i] == list[k] && !until[i]) key[i] = k
}
function finish_step() {
	if (version > 1 && !oldest) fail("before this line, " name " lacks the line \"-- Oldest program: N\"")
	printf "\t  , %d },\n", oldest ? oldest : 1
}
BEGIN { print "/* Made from src/store/schema by schema.awk. */\n#include \"store/driver_int.h\"\n\nconst struct schema_step schema_steps[] = {" }
FNR == 1 {
	if (NR > 1) finish_step()
	name = FILENAME; sub(/.*\//, "", name); sub(/\.sql$/, "", name)
	version = substr(name, 1, 4) + 0; oldest = 0; table = ""
	printf "\t{ %d, \"%s\",\n", version, name
}
/^-- Oldest program: [0-9]+$/ { oldest = $4 + 0 }
{
	line = $0; sub(/[ \t]*--.*$/, "", line)
	if (line == "") next
	text = line
	gsub(/\\/, "\\\\", line); gsub(/"/, "\\\"", line); printf "\t  \"%s\\n\"\n", line
}
/^CREATE TABLE/ { table = text; sub(/^CREATE TABLE (IF NOT EXISTS )?/, "", table); sub(/[ \t]*\(.*/, "", table); next }
table != "" && /^\)/ { table = ""; next }
table != "" && /^[ \t]+PRIMARY KEY/ { keys(table, text); next }
table != "" && /^[ \t]+[a-z_]+[ \t]/ { sub(/^[ \t]+/, "", text); add(table, text); next }
table != "" { fail("a column a line, please") }
/^ALTER TABLE [a-z_]+ ADD COLUMN [a-z_]+ / { split($0, w, " "); sub(/^ALTER TABLE [a-z_]+ ADD COLUMN /, "", text); add(w[3], text); next }
/^ALTER TABLE [a-z_]+ DROP COLUMN [a-z_]+;/ { split(text, w, /[ ;]/); gone(w[3], w[6]); next }
/^DROP TABLE [a-z_]+;/ { split(text, w, /[ ;]/); gone(w[3], ""); next }
/TABLE/ && !/^[ \t]*--/ { fail("what this does to a table is not known here") }
END {
	if (failed) exit 1
	finish_step()
	print "};\nconst size_t schema_step_count = sizeof(schema_steps) / sizeof(schema_steps[0]);\n"
	print "const struct schema_column schema_columns[] = {"
	for (i = 1; i <= columns; i++)
		printf "\t{ %d, %d, \"%s\", \"%s\", DB_%s, %d, %s },\n", since[i], until[i], of[i], name_of[i], type[i], key[i],
		    refers[i] == "" ? "NULL" : "\"" refers[i] "\""
	print "};\nconst size_t schema_column_count = sizeof(schema_columns) / sizeof(schema_columns[0]);"
}
