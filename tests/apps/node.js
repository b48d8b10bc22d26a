// SPDX-License-Identifier: MIT
// The programs of the node test: server, client, cluster, requests (see tests/apps/node).
'use strict';
const assert = require('assert');
const cluster = require('cluster');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');

const [role, ...args] = process.argv.slice(2);
const sum = (data) => crypto.createHash('sha256').update(data).digest('hex');

// GET anything: the file; POST: the sum of what came in.
function httpServer(file) {
	return http.createServer((req, res) => {
		if (req.method === 'POST') {
			const hash = crypto.createHash('sha256');
			req.on('data', (d) => hash.update(d));
			req.on('end', () => res.end(hash.digest('hex')));
		} else if (req.url === '/file') {
			fs.createReadStream(file).pipe(res);
		} else if (req.url === '/who') {
			res.end(`${process.pid} ${req.socket.remoteAddress}`);
		} else {
			res.statusCode = 404;
			res.end(`no ${req.url}`);
		}
	});
}

function request(port, path, agent, host = '127.0.0.1') {
	return new Promise((resolve, reject) => {
		http.get({ port, path, agent, host }, (res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d));
			res.on('end', () => resolve({ code: res.statusCode, body: Buffer.concat(parts) }));
			res.on('error', reject);
		}).on('error', reject);
	});
}

// One connection: all of share out, half-close, all of it back.
function echoOnce(port, share) {
	return new Promise((resolve, reject) => {
		const s = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
			assert.strictEqual(s.remotePort, port);
			assert.strictEqual(s.remoteAddress, '127.0.0.1');
			s.setNoDelay(true);
			s.setKeepAlive(true, 5000);
			s.end(share);
		});
		const parts = [];
		s.on('data', (d) => parts.push(d));
		s.on('end', () => {
			const back = Buffer.concat(parts);
			back.equals(share) ? resolve() : reject(new Error(`${back.length} of ${share.length} bytes came back`));
		});
		s.on('error', reject);
	});
}

async function requests(port, path, count) {
	const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
	const seen = new Set();
	await Promise.all(Array.from({ length: count }, async () => {
		const { code, body } = await request(port, path, agent);
		assert.strictEqual(code, 200);
		seen.add(body.toString());
	}));
	agent.destroy();
	return seen;
}

async function client(httpPort, echoPort, file, clients, count) {
	const data = fs.readFileSync(file);
	const base = `http://127.0.0.1:${httpPort}`;
	assert.strictEqual(sum((await request(httpPort, '/file')).body), sum(data));
	const posted = await fetch(`${base}/sum`, { method: 'POST', body: data });
	assert.strictEqual(await posted.text(), sum(data));
	assert.strictEqual((await fetch(`${base}/none`)).status, 404);
	const seen = await requests(httpPort, '/who', count);
	assert.strictEqual(seen.size, 1);
	assert([...seen][0].endsWith(' 127.0.0.1'), [...seen][0]);
	console.log(`http: ${data.length} bytes each way as they were, ${count} requests with keep-alive`);
	const step = Math.ceil(data.length / clients);
	await Promise.all(Array.from({ length: clients }, (_, i) =>
		echoOnce(echoPort, data.subarray(i * step, (i + 1) * step))));
	console.log(`net: ${data.length} bytes over ${clients} connections came back as they were`);
	const refused = net.connect(1, '127.0.0.1');
	await new Promise((resolve) => refused.on('error', (e) => {
		assert.strictEqual(e.code, 'ECONNREFUSED');
		resolve();
	}));
}

async function main() {
	if (role === 'server') {
		const [httpPort, echoPort, file] = [+args[0], +args[1], args[2]];
		httpServer(file).listen(httpPort, '127.0.0.1');
		net.createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(echoPort, '127.0.0.1', 512);
	} else if (role === 'client') {
		await client(+args[0], +args[1], args[2], +args[3], +args[4]);
		process.exit(0);
	} else if (role === 'cluster') {
		if (cluster.isPrimary) {
			for (let i = 0; i < 3; i++) cluster.fork();
		} else {
			httpServer(args[1]).listen(+args[0], '127.0.0.1');
		}
	} else if (role === 'requests') {
		const data = fs.readFileSync(args[1]);
		assert.strictEqual(sum((await request(+args[0], '/file')).body), sum(data));
		const seen = await requests(+args[0], '/who', +args[2]);
		// The primary deals connections out in turn.
		assert(seen.size >= 2, `only ${seen.size} worker answered`);
		console.log(`cluster: ${args[2]} requests answered by ${seen.size} workers`);
		process.exit(0);
	}
}
main().catch((e) => {
	console.error(e);
	process.exit(1);
});
