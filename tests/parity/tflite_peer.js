// tflite_peer.js - run .tflite files in TensorFlow Lite, as built for the web, in plain node.
// Usage: tflite_peer.js MODULES MODEL INPUT OUTPUT [MODEL INPUT OUTPUT]...
'use strict';
const fs = require('fs'), vm = require('vm');
const wasm = process.argv[2] + '/@tensorflow/tfjs-tflite/wasm/';

globalThis.self = globalThis.window = globalThis;
globalThis.location = { href: 'file://' + wasm };
vm.runInThisContext(fs.readFileSync(wasm + 'tflite_web_api_cc.js', 'utf8') +
	';globalThis.start = tflite_web_api_ModuleFactory;');

function run(lib, model, input, output) {
	const bytes = fs.readFileSync(model), at = lib._malloc(bytes.length);
	lib.HEAPU8.set(bytes, at);
	const made = lib.TFLiteWebModelRunner.CreateFromBufferAndOptions(at, bytes.length,
		{ numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 0 });
	if (!made.ok())
		throw new Error(model + ': ' + made.errorMessage());
	const runner = made.value(), x = fs.readFileSync(input), out = [];
	const step = runner.GetInputs().get(0).data().byteLength;
	for (let i = 0; i + step <= x.length; i += step) {
		const t = runner.GetInputs().get(0).data();
		new Uint8Array(t.buffer, t.byteOffset, step).set(x.subarray(i, i + step));
		if (!runner.Infer())
			throw new Error(model + ': Infer failed');
		const y = runner.GetOutputs().get(0).data();
		out.push(Buffer.from(y.buffer.slice(y.byteOffset, y.byteOffset + y.byteLength)));
	}
	fs.writeFileSync(output, Buffer.concat(out));
	lib._free(at);
}

(async () => {
	const lib = await globalThis.start({ wasmBinary: fs.readFileSync(wasm + 'tflite_web_api_cc.wasm'),
		locateFile: f => wasm + f, printErr: () => {} });
	const a = process.argv.slice(3);
	let bad = 0;
	for (let i = 0; i + 2 < a.length; i += 3)
		try {
			run(lib, a[i], a[i + 1], a[i + 2]);
		} catch (e) {
			console.error('tflite: ' + a[i] + ': ' + e.message);
			bad++;
		}
	process.exit(bad ? 1 : 0);
})();
