package org.example.guestbook;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.concurrent.Executors;

/** Serves the entries, or prepares the database for that: the first argument says which. */
public final class Api {

    private static final int PORT = 8080;

    private Api() {
    }

    public static void main(String[] arguments) throws IOException, SQLException {
        String task = arguments.length == 0 ? "serve" : arguments[0];
        switch (task) {
            case "serve" -> serve();
            case "migrate" -> Database.migrate();
            case "seed" -> Database.seed();
            default -> throw new IllegalArgumentException("serve, migrate or seed, and not " + task);
        }
    }

    private static void serve() throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/healthz", exchange -> answer(exchange, 200, "ok\n"));
        server.createContext("/entries", Api::entries);
        server.start();
        System.out.println("listening on " + PORT);
    }

    private static void entries(HttpExchange exchange) throws IOException {
        try {
            switch (exchange.getRequestMethod()) {
                case "GET" -> answer(exchange, 200, String.join("", Database.entries()));
                case "POST" -> {
                    byte[] body = exchange.getRequestBody().readAllBytes();
                    Database.write(new String(body, StandardCharsets.UTF_8));
                    answer(exchange, 200, "");
                }
                default -> answer(exchange, 405, "GET or POST\n");
            }
        } catch (SQLException error) {
            System.err.println(error.getMessage());
            answer(exchange, 503, "the database does not answer\n");
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        try (exchange) {
            exchange.getResponseBody().write(body);
        }
    }
}
