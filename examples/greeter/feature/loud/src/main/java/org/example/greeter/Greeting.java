package org.example.greeter;

import java.util.Locale;

/** The words of this branch. */
final class Greeting {

    private Greeting() {
    }

    static String from(String greeting) {
        return greeting.toUpperCase(Locale.ROOT) + " FROM FEATURE/LOUD!";
    }
}
