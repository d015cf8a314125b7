# SPDX-License-Identifier: AGPL-3.0-or-later
# Makes schema.c of the files of src/store/schema, given in order.
BEGIN { print "/* Made from src/store/schema by schema.awk. */\n#include \"store/driver_int.h\"\n\nconst struct schema_step schema_steps[] = {" }
FNR == 1 {
	if (NR > 1) print "\t},"
	name = FILENAME; sub(/.*\//, "", name); sub(/\.sql$/, "", name)
	printf "\t{ %d, \"%s\",\n", substr(name, 1, 4) + 0, name
}
{ line = $0; sub(/[ \t]*--.*$/, "", line); if (line == "") next; gsub(/\\/, "\\\\", line); gsub(/"/, "\\\"", line); printf "\t  \"%s\\n\"\n", line }
END { print "\t},\n};\nconst size_t schema_step_count = sizeof(schema_steps) / sizeof(schema_steps[0]);" }
