/* Files with errors of form and of single values and what is said about them, to the letter. */
#include "t_conf.h"

const struct t_conf_case t_conf_cases[] = {
	{ "unknown key",
	  "store:\n"
	  "  pth: /x\n",
	  "t.yaml:2:3: error: unknown key 'pth' in 'store'\n"
	  "    2 |   pth: /x\n"
	  "      |   ^~~ did you mean 'path'?   (text, default /var/lib/honed/honed.db)\n"
	  "1 error in t.yaml\n" },
	{ "key of another section",
	  "port: 80\n",
	  "t.yaml:1:1: error: unknown key 'port'\n"
	  "    1 | port: 80\n"
	  "      | ^~~~ did you mean 'status.port'?\n"
	  "1 error in t.yaml\n" },
	{ "nothing is near",
	  "temperature: 3\n",
	  "t.yaml:1:1: error: unknown key 'temperature'\n"
	  "    1 | temperature: 3\n"
	  "      | ^~~~~~~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "dotted key",
	  "store.path: /x\n",
	  "t.yaml:1:1: error: unknown key 'store.path'\n"
	  "    1 | store.path: /x\n"
	  "      | ^~~~~~~~~~ write it nested: 'store:' and 'path:' under it\n"
	  "1 error in t.yaml\n" },
	{ "time without a unit",
	  "store:\n"
	  "  retain: 10\n",
	  "t.yaml:2:11: error: store.retain: '10' needs a unit: us, ms, s, min, h or d\n"
	  "    2 |   retain: 10\n"
	  "      |           ^~ (time such as 30s or 5min, 1min..36500d, default 30d)\n"
	  "1 error in t.yaml\n" },
	{ "minutes or milliseconds",
	  "store:\n"
	  "  retain: 5m\n",
	  "t.yaml:2:11: error: store.retain: '5m': write min for minutes, ms for millisecon"
	  "ds\n"
	  "    2 |   retain: 5m\n"
	  "      |           ^~ (time such as 30s or 5min, 1min..36500d, default 30d)\n"
	  "1 error in t.yaml\n" },
	{ "unknown unit of time",
	  "store:\n"
	  "  retain: 5weeks\n",
	  "t.yaml:2:11: error: store.retain: '5weeks': 'weeks' is no unit of time: us, ms, "
	  "s, min, h or d\n"
	  "    2 |   retain: 5weeks\n"
	  "      |           ^~~~~~ (time such as 30s or 5min, 1min..36500d, default 30d)\n"
	  "1 error in t.yaml\n" },
	{ "time out of range",
	  "store:\n"
	  "  commit_every: 1h\n",
	  "t.yaml:2:17: error: store.commit_every: 1h is outside 10ms..10min\n"
	  "    2 |   commit_every: 1h\n"
	  "      |                 ^~ (time such as 30s or 5min, 10ms..10min, default 1s)\n"
	  "1 error in t.yaml\n" },
	{ "not a number",
	  "store:\n"
	  "  queue: many\n",
	  "t.yaml:2:10: error: store.queue: expected a whole number, got 'many'\n"
	  "    2 |   queue: many\n"
	  "      |          ^~~~ (whole number 64..1048576 frames, default 8192)\n"
	  "1 error in t.yaml\n" },
	{ "hexadecimal number",
	  "store:\n"
	  "  queue: 0x400\n",
	  "t.yaml:2:10: error: store.queue: expected a whole number, got '0x400'\n"
	  "    2 |   queue: 0x400\n"
	  "      |          ^~~~~ (whole number 64..1048576 frames, default 8192)\n"
	  "1 error in t.yaml\n" },
	{ "fraction for a whole number",
	  "store:\n"
	  "  queue: 100.5\n",
	  "t.yaml:2:10: error: store.queue: expected a whole number, got '100.5'\n"
	  "    2 |   queue: 100.5\n"
	  "      |          ^~~~~ (whole number 64..1048576 frames, default 8192)\n"
	  "1 error in t.yaml\n" },
	{ "number out of range",
	  "status:\n"
	  "  port: 70000\n",
	  "t.yaml:2:9: error: status.port: 70000 is outside 0..65535\n"
	  "    2 |   port: 70000\n"
	  "      |         ^~~~~ (whole number 0..65535, default 0)\n"
	  "1 error in t.yaml\n" },
	{ "quotes around a number",
	  "status:\n"
	  "  port: \"80\"\n",
	  "t.yaml:2:9: error: status.port: leave the quotes away\n"
	  "    2 |   port: \"80\"\n"
	  "      |         ^~~~ (whole number 0..65535, default 0)\n"
	  "1 error in t.yaml\n" },
	{ "unknown unit of size",
	  "store:\n"
	  "  size_max: 12XB\n",
	  "t.yaml:2:13: error: store.size_max: '12XB': 'XB' is no unit of size: B, KB, MB, "
	  "GB or TB\n"
	  "    2 |   size_max: 12XB\n"
	  "      |             ^~~~ (size such as 64MB, 1MB..1TB, default 1GB)\n"
	  "1 error in t.yaml\n" },
	{ "size that is no whole number of bytes",
	  "store:\n"
	  "  size_max: 1000000.5\n",
	  "t.yaml:2:13: error: store.size_max: '1000000.5' is not a whole number of bytes\n"
	  "    2 |   size_max: 1000000.5\n"
	  "      |             ^~~~~~~~~ (size such as 64MB, 1MB..1TB, default 1GB)\n"
	  "1 error in t.yaml\n" },
	{ "misspelt word",
	  "log:\n"
	  "  level: inof\n",
	  "t.yaml:2:10: error: log.level: 'inof' is not one of the allowed words\n"
	  "    2 |   level: inof\n"
	  "      |          ^~~~ did you mean 'info'?   (one of error, warn, note, info, de"
	  "bug; default info)\n"
	  "1 error in t.yaml\n" },
	{ "value is missing",
	  "store:\n"
	  "  path:\n",
	  "t.yaml:2:8: error: store.path: a value is missing\n"
	  "    2 |   path:\n"
	  "      |        ^ (text, default /var/lib/honed/honed.db)\n"
	  "1 error in t.yaml\n" },
	{ "list for one value",
	  "store:\n"
	  "  path: [a, b]\n",
	  "t.yaml:2:9: error: store.path: expected one value, not a list\n"
	  "    2 |   path: [a, b]\n"
	  "      |         ^ (text, default /var/lib/honed/honed.db)\n"
	  "1 error in t.yaml\n" },
	{ "settings for one value",
	  "store:\n"
	  "  path: {a: b}\n",
	  "t.yaml:2:9: error: store.path: expected one value, not settings\n"
	  "    2 |   path: {a: b}\n"
	  "      |         ^ (text, default /var/lib/honed/honed.db)\n"
	  "1 error in t.yaml\n" },
	{ "value for a section",
	  "store: /x\n",
	  "t.yaml:1:8: error: 'store' takes settings of its own, one a line\n"
	  "    1 | store: /x\n"
	  "      |        ^~\n"
	  "1 error in t.yaml\n" },
	{ "value for a list",
	  "sources: pump\n",
	  "t.yaml:1:10: error: sources: expected a list: start each item with '- '\n"
	  "    1 | sources: pump\n"
	  "      |          ^~~~ (list of items)\n"
	  "1 error in t.yaml\n" },
	{ "list in a list",
	  "sources:\n"
	  "  - [a]\n",
	  "t.yaml:2:5: error: sources: expected an item: '- name: ...'\n"
	  "    2 |   - [a]\n"
	  "      |     ^ (list of items)\n"
	  "1 error in t.yaml\n" },
	{ "key given twice",
	  "store:\n"
	  "  path: /x\n"
	  "  queue: 64\n"
	  "  path: /y\n",
	  "t.yaml:4:3: error: key 'path' is given twice, first on line 2\n"
	  "    4 |   path: /y\n"
	  "      |   ^~~~\n"
	  "1 error in t.yaml\n" },
	{ "anchor and alias",
	  "store: &s\n"
	  "  path: /x\n"
	  "log: *s\n",
	  "t.yaml:1:8: error: anchors (&name) are not supported\n"
	  "    1 | store: &s\n"
	  "      |        ^ write the settings out\n"
	  "t.yaml:3:6: error: aliases (*name) are not supported\n"
	  "    3 | log: *s\n"
	  "      |      ^~ write the settings out\n"
	  "2 errors in t.yaml\n" },
	{ "tag",
	  "store:\n"
	  "  path: !!str /x\n",
	  "t.yaml:2:9: error: tags (!name) are not supported\n"
	  "    2 |   path: !!str /x\n"
	  "      |         ^~~~~~~~ leave it away\n"
	  "1 error in t.yaml\n" },
	{ "second document",
	  "store:\n"
	  "  queue: 64\n"
	  "---\n"
	  "log:\n"
	  "  level: info\n",
	  "t.yaml:3:1: error: a second document (---) is not supported\n"
	  "    3 | ---\n"
	  "      | ^~~\n"
	  "1 error in t.yaml\n" },
	{ "key that is a list",
	  "store:\n"
	  "  ? [a, b]\n"
	  "  : c\n",
	  "t.yaml:2:5: error: a key must be a plain word\n"
	  "    2 |   ? [a, b]\n"
	  "      |     ^\n"
	  "1 error in t.yaml\n" },
	{ "root that is a list",
	  "- store\n",
	  "t.yaml:1:1: error: expected settings, one 'key: value' a line\n"
	  "    1 | - store\n"
	  "      | ^ start with a section such as 'store:'\n"
	  "1 error in t.yaml\n" },
	{ "tab as indentation",
	  "store:\n"
	  "\tpath: /x\n",
	  "t.yaml:2:1: error: found character that cannot start any token while scanning fo"
	  "r the next token (line 2)\n"
	  "    2 | \tpath: /x\n"
	  "      | ^ is it a tab? Indent with spaces; put quotes around a value that begins"
	  " so\n"
	  "1 error in t.yaml\n" },
	{ "unclosed bracket after an unknown key",
	  "stroe:\n"
	  "  path: /x\n"
	  "log:\n"
	  "  level: [info\n",
	  "t.yaml:1:1: error: unknown key 'stroe'\n"
	  "    1 | stroe:\n"
	  "      | ^~~~~ did you mean 'store'?\n"
	  "t.yaml:4:10: error: log.level: expected one value, not a list\n"
	  "    4 |   level: [info\n"
	  "      |          ^ (one of error, warn, note, info, debug; default info)\n"
	  "t.yaml:5:1: error: did not find expected ',' or ']' while parsing a flow sequenc"
	  "e (line 4)\n"
	  "    5 | \n"
	  "      | ^\n"
	  "3 errors in t.yaml\n" },
	{ "errors of all kinds in one run",
	  "store:\n"
	  "  pth: /x\n"
	  "log:\n"
	  "  level: loud\n"
	  "sources:\n"
	  "  - name: a b\n"
	  "    type: lnk\n",
	  "t.yaml:2:3: error: unknown key 'pth' in 'store'\n"
	  "    2 |   pth: /x\n"
	  "      |   ^~~ did you mean 'path'?   (text, default /var/lib/honed/honed.db)\n"
	  "t.yaml:4:10: error: log.level: 'loud' is not one of the allowed words\n"
	  "    4 |   level: loud\n"
	  "      |          ^~~~ (one of error, warn, note, info, debug; default info)\n"
	  "t.yaml:6:11: error: name: 'a b' is not a name: letters, digits, '_', '-' and '.'"
	  " only\n"
	  "    6 |   - name: a b\n"
	  "      |           ^~~ (name, required)\n"
	  "t.yaml:7:11: error: type: unknown type 'lnk'\n"
	  "    7 |     type: lnk\n"
	  "      |           ^~~ did you mean 'link'?   (one of line, link, bare; required)"
	  "\n"
	  "4 errors in t.yaml\n" },
	{ "column counts characters",
	  "log: {level: info, l\303\251vel: 3, leve: 4}\n",
	  "t.yaml:1:20: error: unknown key 'l\303\251vel' in 'log'\n"
	  "    1 | log: {level: info, l\303\251vel: 3, leve: 4}\n"
	  "      |                    ^~~~~ did you mean 'level'?   (one of error, warn, no"
	  "te, info, debug; default info)\n"
	  "t.yaml:1:30: error: unknown key 'leve' in 'log'\n"
	  "    1 | log: {level: info, l\303\251vel: 3, leve: 4}\n"
	  "      |                              ^~~~ did you mean 'level'?   (one of error,"
	  " warn, note, info, debug; default info)\n"
	  "2 errors in t.yaml\n" },
	{ "bytes that are not UTF-8",
	  "log:\n"
	  "  level: \377\n",
	  "t.yaml:2:10: error: invalid leading UTF-8 octet\n"
	  "    2 |   level: \377\n"
	  "      |          ^\n"
	  "1 error in t.yaml\n" },
	{ "control character",
	  "log:\n"
	  "  level: \001\n",
	  "t.yaml:2:10: error: control characters are not allowed\n"
	  "    2 |   level: ?\n"
	  "      |          ^\n"
	  "1 error in t.yaml\n" },
	{ "escape sequence in a value is not printed",
	  "log:\n"
	  "  level: \"\\e[31mred\"\n",
	  "t.yaml:2:10: error: log.level: '?[31mred' is not one of the allowed words\n"
	  "    2 |   level: \"\\e[31mred\"\n"
	  "      |          ^~~~~~~~~~~ (one of error, warn, note, info, debug; default inf"
	  "o)\n"
	  "1 error in t.yaml\n" },
	{ "zero byte in a value",
	  "store:\n"
	  "  path: \"a\\0b\"\n",
	  "t.yaml:2:9: error: a value cannot hold a zero byte\n"
	  "    2 |   path: \"a\\0b\"\n"
	  "      |         ^~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "long line is shown in part",
	  "log: {level: info}  # ----------------------------------------------------------"
	  "--\n"
	  "store: {path: /long/long/long/long/long/long/long/long/long/long/long/long/long/"
	  "long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/long/"
	  "long, retain: 5}\n",
	  "t.yaml:2:175: error: store.retain: '5' needs a unit: us, ms, s, min, h or d\n"
	  "    2 | /long/long/long/long/long/long/long/long/long/long, retain: 5}\n"
	  "      |                                                             ^ (time such"
	  " as 30s or 5min, 1min..36500d, default 30d)\n"
	  "1 error in t.yaml\n" },
	{ "nested too deep",
	  "a: [[[[[[[[[[[[[[[[\n",
	  "t.yaml:1:1: error: unknown key 'a'\n"
	  "    1 | a: [[[[[[[[[[[[[[[[\n"
	  "      | ^\n"
	  "t.yaml:1:19: error: nested deeper than 16 levels\n"
	  "    1 | a: [[[[[[[[[[[[[[[[\n"
	  "      |                   ^\n"
	  "2 errors in t.yaml\n" },
	{ NULL, NULL, NULL }
};
