/* Files with errors in items and between settings and what is said about them, to the letter. */
#include "t_conf.h"

const struct t_conf_case t_conf_items[] = {
	{ "required settings are missing",
	  "sources:\n"
	  "  - path: /dev/x\n"
	  "  - name: b\n"
	  "  - name: c\n"
	  "    type: link\n",
	  "t.yaml:2:5: error: 'name' is missing in 'sources[0]'\n"
	  "    2 |   - path: /dev/x\n"
	  "      |     ^ (name, required)\n"
	  "t.yaml:2:5: error: 'type' is missing in 'sources[0]'\n"
	  "    2 |   - path: /dev/x\n"
	  "      |     ^ (one of line, link, bare; required)\n"
	  "t.yaml:3:5: error: 'type' is missing in 'sources[1]'\n"
	  "    3 |   - name: b\n"
	  "      |     ^ (one of line, link, bare; required)\n"
	  "t.yaml:4:5: error: 'path' is missing in 'sources[2]'\n"
	  "    4 |   - name: c\n"
	  "      |     ^ (text, required)\n"
	  "4 errors in t.yaml\n" },
	{ "misspelt type, other keys are not judged",
	  "sources:\n"
	  "  - {name: a, type: lin, what: 3}\n",
	  "t.yaml:2:21: error: type: unknown type 'lin'\n"
	  "    2 |   - {name: a, type: lin, what: 3}\n"
	  "      |                     ^~~ did you mean 'line'?   (one of line, link, bare;"
	  " required)\n"
	  "1 error in t.yaml\n" },
	{ "key of a driver",
	  "sources:\n"
	  "  - {name: a, buad: 300, path: /dev/x, type: link}\n",
	  "t.yaml:2:15: error: unknown key 'buad' in 'sources[0]'\n"
	  "    2 |   - {name: a, buad: 300, path: /dev/x, type: link}\n"
	  "      |               ^~~~ did you mean 'baud'?   (whole number 300..4000000 bau"
	  "d, default 115200)\n"
	  "1 error in t.yaml\n" },
	{ "number of a driver out of range",
	  "sources:\n"
	  "  - {name: a, baud: 3, path: /dev/x, type: link}\n",
	  "t.yaml:2:21: error: baud: 3 is outside 300..4000000\n"
	  "    2 |   - {name: a, baud: 3, path: /dev/x, type: link}\n"
	  "      |                     ^ (whole number 300..4000000 baud, default 115200)\n"
	  "1 error in t.yaml\n" },
	{ "key of a driver's group",
	  "sources:\n"
	  "  - {name: a, type: line, idle: {wiat: 3s}}\n",
	  "t.yaml:2:34: error: unknown key 'wiat' in 'sources[0].idle'\n"
	  "    2 |   - {name: a, type: line, idle: {wiat: 3s}}\n"
	  "      |                                  ^~~~ did you mean 'wait'?   (time such "
	  "as 30s or 5min, 1s..1h, default 30s)\n"
	  "1 error in t.yaml\n" },
	{ "misspelt required key is one error",
	  "sources:\n"
	  "  - {name: a, type: link, pathh: /dev/x}\n",
	  "t.yaml:2:27: error: unknown key 'pathh' in 'sources[0]'\n"
	  "    2 |   - {name: a, type: link, pathh: /dev/x}\n"
	  "      |                           ^~~~~ did you mean 'path'?   (text, required)"
	  "\n"
	  "1 error in t.yaml\n" },
	{ "secret in a wrong place",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x, psk: swordfish, baud: x}\n",
	  "t.yaml:2:63: error: baud: expected a whole number, got 'x'\n"
	  "    2 |   - {name: a, type: link, path: /dev/x, psk: *********, baud: x}\n"
	  "      |                                                               ^ (whole n"
	  "umber 300..4000000 baud, default 115200)\n"
	  "1 error in t.yaml\n" },
	{ "secret behind a misspelt key",
	  "sources:\n"
	  "  - name: a\n"
	  "    type: link\n"
	  "    path: /dev/x\n"
	  "    pks: swordfish\n",
	  "t.yaml:5:5: error: unknown key 'pks' in 'sources[0]'\n"
	  "    5 |     pks: *********\n"
	  "      |     ^~~ did you mean 'psk'?   (text, default \"\")\n"
	  "1 error in t.yaml\n" },
	{ "secret that is not valid",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x, psk: \"swordfish\\e\"}\n",
	  "t.yaml:2:46: error: psk: not valid\n"
	  "    2 |   - {name: a, type: link, path: /dev/x, psk: *************}\n"
	  "      |                                              ^~~~~~~~~~~~~ (text, defaul"
	  "t \"\")\n"
	  "1 error in t.yaml\n" },
	{ "name with a space",
	  "sources:\n"
	  "  - {name: a b, type: bare}\n",
	  "t.yaml:2:12: error: name: 'a b' is not a name: letters, digits, '_', '-' and '.'"
	  " only\n"
	  "    2 |   - {name: a b, type: bare}\n"
	  "      |            ^~~ (name, required)\n"
	  "1 error in t.yaml\n" },
	{ "name that is too long",
	  "sources:\n"
	  "  - {name: abcdefghijklmnopqrstuvwxyz0123456789, type: bare}\n",
	  "t.yaml:2:12: error: name: 'abcdefghijklmnopqrstuvwxyz0123456789' is longer than "
	  "31 bytes\n"
	  "    2 |   - {name: abcdefghijklmnopqrstuvwxyz0123456789, type: bare}\n"
	  "      |            ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~ (name, required)\n"
	  "1 error in t.yaml\n" },
	{ "same name twice",
	  "sources:\n"
	  "  - {name: a, type: bare}\n"
	  "  - {name: b, type: bare}\n"
	  "  - {name: a, type: bare}\n",
	  "t.yaml:4:12: error: duplicate name 'a', first on line 2\n"
	  "    4 |   - {name: a, type: bare}\n"
	  "      |            ^\n"
	  "1 error in t.yaml\n" },
	{ "same channel through a range",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - name: s\n"
	  "    source: a\n"
	  "    channels:\n"
	  "      - f3\n"
	  "      - f{1..4}\n",
	  "t.yaml:8:9: error: duplicate name 'f3', first on line 7\n"
	  "    8 |       - f{1..4}\n"
	  "      |         ^~~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "half a range",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: ['f{1..4']}\n",
	  "t.yaml:4:37: error: name: a range is written {01..16}, one in a name\n"
	  "    4 |   - {name: s, source: a, channels: ['f{1..4']}\n"
	  "      |                                     ^~~~~~~~ (text, required)\n"
	  "1 error in t.yaml\n" },
	{ "two ranges",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: ['f{1..4}{1..2}']}\n",
	  "t.yaml:4:37: error: name: a range is written {01..16}, one in a name\n"
	  "    4 |   - {name: s, source: a, channels: ['f{1..4}{1..2}']}\n"
	  "      |                                     ^~~~~~~~~~~~~~~ (text, required)\n"
	  "1 error in t.yaml\n" },
	{ "range that runs downwards",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: ['f{4..1}']}\n",
	  "t.yaml:4:37: error: name: the range runs downwards\n"
	  "    4 |   - {name: s, source: a, channels: ['f{4..1}']}\n"
	  "      |                                     ^~~~~~~~~ (text, required)\n"
	  "1 error in t.yaml\n" },
	{ "range with too many channels",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x, 'f{1..128}']}\n",
	  "t.yaml:4:40: error: name: the range stands for more items than are possible\n"
	  "    4 |   - {name: s, source: a, channels: [x, 'f{1..128}']}\n"
	  "      |                                        ^~~~~~~~~~~ (text, required)\n"
	  "1 error in t.yaml\n" },
	{ "scale of zero",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [{name: x, scale: 0}]}\n",
	  "t.yaml:4:54: error: scale: 0 is outside 1e-12..1e+12\n"
	  "    4 |   - {name: s, source: a, channels: [{name: x, scale: 0}]}\n"
	  "      |                                                      ^ (number 1e-12..1e"
	  "+12, default 0.001)\n"
	  "1 error in t.yaml\n" },
	{ "min above max",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - name: s\n"
	  "    source: a\n"
	  "    channels: [x, {name: y, min: 5, max: 2}]\n",
	  "t.yaml:6:34: error: streams[0] min: min is greater than max\n"
	  "    6 |     channels: [x, {name: y, min: 5, max: 2}]\n"
	  "      |                                  ^\n"
	  "1 error in t.yaml\n" },
	{ "stream of an unknown source",
	  "sources:\n"
	  "  - {name: pump, type: bare}\n"
	  "streams:\n"
	  "  - {name: s, source: pmup, channels: [x]}\n",
	  "t.yaml:4:23: error: streams[0] source: there is no source of this name\n"
	  "    4 |   - {name: s, source: pmup, channels: [x]}\n"
	  "      |                       ^~~~ did you mean 'pump'?\n"
	  "1 error in t.yaml\n" },
	{ "stream without any source",
	  "streams:\n"
	  "  - {name: s, source: pump, channels: [x]}\n",
	  "t.yaml:2:23: error: streams[0] source: there is no source of this name\n"
	  "    2 |   - {name: s, source: pump, channels: [x]}\n"
	  "      |                       ^~~~ (there are no sources)\n"
	  "1 error in t.yaml\n" },
	{ "model of an unknown stream",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: [s, t], classes: [a, b], network: dense 2}\n",
	  "t.yaml:6:28: error: models[0] streams: there is no stream of this name\n"
	  "    6 |   - {name: m, streams: [s, t], classes: [a, b], network: dense 2}\n"
	  "      |                            ^ (streams: s)\n"
	  "1 error in t.yaml\n" },
	{ "model without stream and classes",
	  "models:\n"
	  "  - {name: m, network: dense 2}\n",
	  "t.yaml:2:5: error: models[0] streams: it has no stream, neither of its own nor o"
	  "f a device\n"
	  "    2 |   - {name: m, network: dense 2}\n"
	  "      |     ^\n"
	  "t.yaml:2:5: error: models[0] classes: a model that classifies needs 2 classes or"
	  " more\n"
	  "    2 |   - {name: m, network: dense 2}\n"
	  "      |     ^\n"
	  "2 errors in t.yaml\n" },
	{ "smoothing without cross-entropy",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: [s], task: regress, network: dense 2, train: {smoothing: 0.1}}\n"
	  "  - {name: n, streams: [s], classes: [a, b], network: dense 2, train: {smoothing: 0.1}}\n",
	  "t.yaml:6:81: error: models[0] train.smoothing: only the loss cross_entropy has label"
	  " smoothing\n"
	  "    6 |   - {name: m, streams: [s], task: regress, network: dense 2, train: {smooth"
	  "ing: 0.1}}\n"
	  "      |                                                                                 "
	  "^~~\n"
	  "1 error in t.yaml\n" },
	{ "same stream twice",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: [s, s], task: regress, network: dense 2}\n",
	  "t.yaml:6:28: error: streams: it is in the list already\n"
	  "    6 |   - {name: m, streams: [s, s], task: regress, network: dense 2}\n"
	  "      |                            ^ (list of texts)\n"
	  "1 error in t.yaml\n" },
	{ "streams of different width",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "  - {name: t, source: a, channels: [x, y]}\n"
	  "models:\n"
	  "  - {name: m, streams: [s, t], task: regress, network: dense 2}\n",
	  "t.yaml:7:28: error: models[0] streams: all streams of a model have the same numb"
	  "er of channels\n"
	  "    7 |   - {name: m, streams: [s, t], task: regress, network: dense 2}\n"
	  "      |                            ^\n"
	  "1 error in t.yaml\n" },
	{ "input that is too large",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: ['x{1..128}']}\n"
	  "models:\n"
	  "  - {name: m, streams: s, task: regress, window: 129, network: dense 2}\n",
	  "t.yaml:6:50: error: models[0] window: window times channels is more than 16384\n"
	  "    6 |   - {name: m, streams: s, task: regress, window: 129, network: dense 2}"
	  "\n"
	  "      |                                                  ^~~\n"
	  "1 error in t.yaml\n" },
	{ "one answer of two",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: s, task: autoencode, classes: [normal], network: dense 32}\n",
	  "t.yaml:6:54: error: models[0] classes: this task has two answers: give two "
	  "names, such as [normal, anomaly], or none\n"
	  "    6 |   - {name: m, streams: s, task: autoencode, classes: [normal], "
	  "network: dense 32}\n"
	  "      |                                                      ^\n"
	  "1 error in t.yaml\n" },
	{ "a loss for another task",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: s, task: autoencode, train: {loss: cross_entropy}, "
	  "network: dense 32}\n",
	  "t.yaml:6:59: error: models[0] train.loss: this loss does not fit the task\n"
	  "    6 |   - {name: m, streams: s, task: autoencode, train: {loss: "
	  "cross_entropy}, network: dense 32}\n"
	  "      |                                                           ^~~~~~~~~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "questions without labels",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, streams: s, task: autoencode, policy: {ask: stream}, network: dense 32}\n",
	  "t.yaml:6:59: error: models[0] policy.ask: this task needs no labels; write "
	  "ask: episode\n"
	  "    6 |   - {name: m, streams: s, task: autoencode, policy: {ask: stream}, "
	  "network: dense 32}\n"
	  "      |                                                           ^~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "device that refers to nothing",
	  "devices:\n"
	  "  - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n",
	  "t.yaml:2:46: error: devices[0] source: there is no source of this name\n"
	  "    2 |   - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n"
	  "      |                                              ^ (there are no sources)\n"
	  "t.yaml:2:57: error: devices[0] stream: there is no stream of this name\n"
	  "    2 |   - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n"
	  "      |                                                         ^ (there are no "
	  "streams)\n"
	  "t.yaml:2:67: error: devices[0] model: there is no model of this name\n"
	  "    2 |   - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n"
	  "      |                                                                   ^ (the"
	  "re are no models)\n"
	  "3 errors in t.yaml\n" },
	{ "uid with a wrong digit",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, task: regress, network: dense 2}\n"
	  "devices:\n"
	  "  - {name: d, uid: 00a1b2c3d4e5f60g, source: a, stream: s, model: m}\n",
	  "t.yaml:8:20: error: devices[0] uid: expected 16 hex digits\n"
	  "    8 |   - {name: d, uid: 00a1b2c3d4e5f60g, source: a, stream: s, model: m}\n"
	  "      |                    ^~~~~~~~~~~~~~~~\n"
	  "1 error in t.yaml\n" },
	{ "two devices with one uid on one source",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, task: regress, network: dense 2}\n"
	  "devices:\n"
	  "  - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n"
	  "  - {name: e, uid: 00A1B2C3D4E5F607, source: a, stream: s, model: m}\n",
	  "t.yaml:9:20: error: devices[1] uid: another device has this uid\n"
	  "    9 |   - {name: e, uid: 00A1B2C3D4E5F607, source: a, stream: s, model: m}\n"
	  "      |                    ^~~~~~~~~~~~~~~~\n"
	  "t.yaml:9:46: error: devices[1] source: another device has this source\n"
	  "    9 |   - {name: e, uid: 00A1B2C3D4E5F607, source: a, stream: s, model: m}\n"
	  "      |                                              ^\n"
	  "2 errors in t.yaml\n" },
	{ "device that wants signatures where nothing signs",
	  "sources:\n"
	  "  - {name: a, type: link, path: /dev/x}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, task: regress, network: dense 2}\n"
	  "devices:\n"
	  "  - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m, signed: true}\n",
	  "t.yaml:8:78: error: devices[0] signed: nothing signs: keys.sign is not set\n"
	  "    8 |   - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m, signed: true}\n"
	  "      |                                                                              ^~~~\n"
	  "1 error in t.yaml\n" },
	{ "device on a source that is no link",
	  "sources:\n"
	  "  - {name: a, type: bare}\n"
	  "streams:\n"
	  "  - {name: s, source: a, channels: [x]}\n"
	  "models:\n"
	  "  - {name: m, task: regress, network: dense 2}\n"
	  "devices:\n"
	  "  - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n",
	  "t.yaml:8:46: error: devices[0] source: a device needs a source of type link\n"
	  "    8 |   - {name: d, uid: 00a1b2c3d4e5f607, source: a, stream: s, model: m}\n"
	  "      |                                              ^\n"
	  "1 error in t.yaml\n" },
	{ NULL, NULL, NULL }
};
