// SPDX-License-Identifier: MIT
// The programs of the java test: server and client (see tests/apps/java).
import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class App {
	static final InetAddress HOME = InetAddress.getLoopbackAddress();
	static final ExecutorService pool = Executors.newCachedThreadPool();

	static void check(boolean holds, String what) {
		if (!holds)
			throw new IllegalStateException(what);
	}

	// A thread a connection: everything that comes goes back.
	static void serveEcho(int port) throws Exception {
		ServerSocket listener = new ServerSocket(port, 500, HOME);
		while (true) {
			Socket s = listener.accept();
			pool.submit(() -> {
				try (s) {
					s.setTcpNoDelay(true);
					s.getInputStream().transferTo(s.getOutputStream());
					s.shutdownOutput();
				}
				return null;
			});
		}
	}

	// The same with one selector.
	static void serveNio(int port) throws Exception {
		Selector selector = Selector.open();
		ServerSocketChannel listener = ServerSocketChannel.open();
		listener.bind(new InetSocketAddress(HOME, port), 500);
		listener.configureBlocking(false);
		listener.register(selector, SelectionKey.OP_ACCEPT);
		while (true) {
			selector.select();
			var keys = selector.selectedKeys();
			for (SelectionKey key : keys) {
				if (key.isAcceptable()) {
					SocketChannel c = listener.accept();
					if (c == null)
						continue;
					c.configureBlocking(false);
					c.register(selector, SelectionKey.OP_READ, ByteBuffer.allocate(65536));
					continue;
				}
				SocketChannel c = (SocketChannel) key.channel();
				ByteBuffer b = (ByteBuffer) key.attachment();
				boolean end = key.isReadable() && b.hasRemaining() && c.read(b) < 0;
				b.flip();
				c.write(b);
				boolean left = b.hasRemaining();
				b.compact();
				if (end && !left)
					c.close();
				else
					key.interestOps((b.hasRemaining() && !end ? SelectionKey.OP_READ : 0)
							| (left ? SelectionKey.OP_WRITE : 0));
			}
			keys.clear();
		}
	}

	static void serveHttp(int port, byte[] data) throws Exception {
		HttpServer server = HttpServer.create(new InetSocketAddress(HOME, port), 100);
		server.createContext("/", exchange -> {
			byte[] in = exchange.getRequestBody().readAllBytes();
			byte[] out = in.length > 0 ? in : data;
			exchange.sendResponseHeaders(200, out.length);
			try (OutputStream body = exchange.getResponseBody()) {
				body.write(out);
			}
		});
		server.setExecutor(pool);
		server.start();
	}

	static byte[] blocking(int port, byte[] share) throws Exception {
		try (Socket s = new Socket(HOME, port)) {
			check(s.getPort() == port && s.getInetAddress().equals(HOME), "peer");
			s.setSoTimeout(60000);
			Future<?> sending = pool.submit(() -> {
				s.getOutputStream().write(share);
				s.shutdownOutput();
				return null;
			});
			InputStream in = s.getInputStream();
			byte[] back = in.readAllBytes();
			sending.get();
			return back;
		}
	}

	static void client(int echo, int nio, int http, byte[] data, int clients) throws Exception {
		int step = (data.length + clients - 1) / clients;
		for (int port : new int[] {echo, nio}) {
			List<Future<?>> all = new ArrayList<>();
			for (int i = 0; i < clients; i++) {
				byte[] share = Arrays.copyOfRange(data, Math.min(i * step, data.length),
						Math.min((i + 1) * step, data.length));
				all.add(pool.submit(() -> {
					check(Arrays.equals(blocking(port, share), share), "what came back differs");
					return null;
				}));
			}
			for (Future<?> one : all)
				one.get();
			System.out.printf("%s: %d bytes over %d connections came back as they were%n",
					port == echo ? "threads" : "selector", data.length, clients);
		}
		HttpClient hc = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
		URI uri = URI.create("http://127.0.0.1:" + http + "/file");
		byte[] got = hc.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofByteArray()).body();
		check(Arrays.equals(got, data), "http content");
		got = hc.send(HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofByteArray(data)).build(),
				HttpResponse.BodyHandlers.ofByteArray()).body();
		check(Arrays.equals(got, data), "http post content");
		System.out.printf("http: %d bytes each way as they were%n", data.length);
	}

	public static void main(String[] args) throws Exception {
		int echo = Integer.parseInt(args[1]), nio = Integer.parseInt(args[2]), http = Integer.parseInt(args[3]);
		byte[] data = Files.readAllBytes(Path.of(args[4]));
		if (args[0].equals("client")) {
			client(echo, nio, http, data, Integer.parseInt(args[5]));
			System.exit(0);
		}
		pool.submit(() -> {
			serveEcho(echo);
			return null;
		});
		pool.submit(() -> {
			serveNio(nio);
			return null;
		});
		Thread.sleep(100);
		serveHttp(http, data);
	}
}
