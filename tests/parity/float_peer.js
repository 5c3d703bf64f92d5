// float_peer.js - float answers of the other runtimes beside ours, and .onnx in onnxruntime.
// Usage: float_peer.js MODULES NETS.  Prints counts; exit 1 when something is too far off.
'use strict';
const fs = require('fs'), path = require('path');
const [modules, nets] = process.argv.slice(2);
const LIMIT = 1e-5;              // of float outputs, relative to the largest of the net, at least 1

const floats = file => {
	const b = fs.readFileSync(file);
	return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
};
const bytes = file => new Int8Array(fs.readFileSync(file));

function far(want, got) {
	let top = 1, most = 0;
	for (let i = 0; i < want.length; i++) {
		top = Math.max(top, Math.abs(want[i]));
		most = Math.max(most, Math.abs(want[i] - got[i]));
	}
	return got.length === want.length && !Number.isNaN(most) ? most / top : Infinity;
}

// Largest distance of two int8 lists.
function steps(a, b) {
	let most = a.length === b.length ? 0 : Infinity;
	for (let i = 0; i < a.length; i++)
		most = Math.max(most, Math.abs(a[i] - b[i]));
	return most;
}

let failed = 0;

function say(what, distance, limit) {
	const good = distance.filter(d => d.d <= limit);
	const worst = distance.reduce((a, b) => b.d > a.d ? b : a, { d: 0, k: '-' });
	console.log(`${what}: ${good.length} of ${distance.length} nets within ${limit}, worst ${worst.d.toPrecision(3)} (net ${worst.k})`);
	failed += distance.length - good.length;
}

async function onnx(names) {
	const ort = require(path.resolve(modules, 'onnxruntime-node'));
	const float = [], twice = [], once = [];
	for (const k of names) {
		const at = path.join(nets, k), x = floats(at + '.in'), want = floats(at + '.out');
		let s = await ort.InferenceSession.create(at + '_float.onnx', { intraOpNumThreads: 1 });
		const n = s.inputMetadata[0].shape.slice(1).reduce((a, b) => a * b, 1), samples = x.length / n;
		const dims = [samples, ...s.inputMetadata[0].shape.slice(1)];
		let r = await s.run({ [s.inputNames[0]]: new ort.Tensor('float32', x, dims) });
		float.push({ k, d: far(want, r[s.outputNames[0]].data) });
		if (!fs.existsSync(at + '_qdq.onnx'))
			continue;
		s = await ort.InferenceSession.create(at + '_qdq.onnx', { intraOpNumThreads: 1 });
		r = await s.run({ [s.inputNames[0]]: new ort.Tensor('int8', bytes(at + '.in8'), dims) });
		const y = r[s.outputNames[0]].data;
		twice.push({ k, d: steps(bytes(at + '.twice8'), y) });
		once.push({ k, d: steps(bytes(at + '.once8'), y) });
	}
	say('float .onnx in onnxruntime', float, LIMIT);
	// A difference of one step inside may be several behind a layer with large weights.
	say('QDQ .onnx: device, rounding twice, and onnxruntime, in steps', twice, 2);
	for (const [name, d] of [['twice', twice], ['once', once]])
		console.log(`QDQ .onnx: device, rounding ${name}: ${d.filter(t => t.d <= 1).length} of ${d.length} nets ` +
			`within a step, ${d.filter(t => t.d === 0).length} identical`);
	say('QDQ .onnx: device, rounding once, and onnxruntime, in steps', once, 0);
}

(async () => {
	const names = fs.readdirSync(nets).filter(f => f.endsWith('.txt')).map(f => f.slice(0, -4)).sort();
	for (const peer of ['armnn', 'tflite']) {
		const have = names.filter(k => fs.existsSync(path.join(nets, `${k}.${peer}`)));
		if (have.length)
			say(`float .tflite in ${peer}`, have.map(k => ({ k,
				d: far(floats(path.join(nets, k + '.out')), floats(path.join(nets, `${k}.${peer}`))) })), LIMIT);
	}
	if (fs.existsSync(path.join(modules, 'onnxruntime-node')))
		await onnx(names);
	else
		console.log('skip: onnxruntime-node is not installed');
	process.exit(failed ? 1 : 0);
})().catch(e => { console.error('parity: ' + e.message); process.exit(1); });
