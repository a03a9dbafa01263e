package org.example.guestbook;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** What is asked of the database, which the environment names. */
final class Database {

    private Database() {
    }

    /** Every entry as a line, the oldest one first. */
    static List<String> entries() throws SQLException {
        List<String> found = new ArrayList<>();
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(Entry.ALL)) {
            while (rows.next()) {
                found.add(rows.getString(1) + "\n");
            }
        }
        return found;
    }

    /** Keep an entry, which becomes one line. */
    static void write(String text) throws SQLException {
        try (Connection connection = connect();
                PreparedStatement statement = connection.prepareStatement("INSERT INTO entry (text) VALUES (?)")) {
            statement.setString(1, text.strip().replaceAll("\\s+", " "));
            statement.executeUpdate();
        }
    }

    /** Run the migrations that this database has not seen: all of them, or none. */
    static void migrate() throws IOException, SQLException {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("CREATE TABLE IF NOT EXISTS migration (number int PRIMARY KEY)");
            int number = 1;
            try (ResultSet rows = statement.executeQuery("SELECT coalesce(max(number), 0) FROM migration")) {
                rows.next();
                number += rows.getInt(1);
            }
            for (String script; (script = read("/migrations/" + number + ".sql")) != null; number++) {
                statement.execute(script);
                statement.execute("INSERT INTO migration VALUES (" + number + ")");
                System.out.println("migration " + number);
            }
            connection.commit();
        }
    }

    /** Have something to show in a new database. */
    static void seed() throws IOException, SQLException {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute(read("/seed.sql"));
        }
    }

    private static Connection connect() throws SQLException {
        return DriverManager.getConnection(
                System.getenv("DATABASE_URL"), System.getenv("DATABASE_USER"), System.getenv("DATABASE_PASSWORD"));
    }

    /** The text of a resource; null where there is none. */
    private static String read(String name) throws IOException {
        try (InputStream stream = Database.class.getResourceAsStream(name)) {
            return stream == null ? null : new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
