// foreign_peer.js - files of other makers: their runtime's answers beside those of our imported nets.
// Usage: foreign_peer.js MODULES FOLDER.  Prints counts; exit 1 when a net is missing or too far off.
'use strict';
const fs = require('fs'), path = require('path'), { execFileSync } = require('child_process');
const [modules, folder] = process.argv.slice(2);
const LIMIT = 1e-5;              // relative to the largest output, at least 1
const text = (k, end) => fs.readFileSync(path.join(folder, k + '.' + end), 'utf8').trim();

function floats(file) {
	const b = fs.readFileSync(file);
	return new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
}

async function onnx(k) {
	const ort = require(path.resolve(modules, 'onnxruntime-node'));
	const s = await ort.InferenceSession.create(path.join(folder, k + '.file'), { intraOpNumThreads: 1, logSeverityLevel: 3 });
	const dims = text(k, 'dims').split(' ').map(Number), n = dims.reduce((a, b) => a * b, 1);
	const x = floats(path.join(folder, k + '.x')), out = [];
	for (let i = 0; i + n <= x.length; i += n) {
		const r = await s.run({ [s.inputNames[0]]: new ort.Tensor('float32', x.slice(i, i + n), dims) });
		out.push(...r[s.outputNames[0]].data);
	}
	return out;
}

function tflite(k) {
	const at = path.join(folder, k);
	execFileSync(process.execPath, [path.join(__dirname, 'tflite_peer.js'), modules, at + '.file', at + '.x', at + '.want']);
	return Array.from(floats(at + '.want'));
}

(async () => {
	const names = fs.readdirSync(folder).filter(f => f.endsWith('.file')).map(f => f.slice(0, -5)).sort();
	let good = 0, worst = 0;
	for (const k of names) {
		const want = text(k, 'kind') === 'onnx' ? await onnx(k) : tflite(k);
		const got = fs.existsSync(path.join(folder, k + '.got')) ? floats(path.join(folder, k + '.got')) : [];
		let top = 1, most = got.length === want.length ? 0 : Infinity;
		for (let i = 0; i < want.length; i++) {
			top = Math.max(top, Math.abs(want[i]));
			most = Math.max(most, Math.abs(want[i] - got[i]));
		}
		const own = fs.existsSync(path.join(folder, k + '.limit')), limit = own ? Number(text(k, 'limit')) : LIMIT;
		const off = own ? most : most / top;
		if (off <= limit)
			good++;
		if (own || off > limit)
			console.log(`  ${k}: off by ${off.toPrecision(3)} of ${limit}`);
		worst = own ? worst : Math.max(worst, off);
	}
	console.log(`imported: ${good} of ${names.length} files of PyTorch and Keras style within their limit, worst float ${worst.toPrecision(3)}`);
	process.exit(good === names.length ? 0 : 1);
})().catch(e => { console.error('parity: ' + e.message); process.exit(1); });
