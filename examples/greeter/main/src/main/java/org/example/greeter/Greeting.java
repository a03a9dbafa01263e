package org.example.greeter;

/** The words of this branch. */
final class Greeting {

    private Greeting() {
    }

    static String from(String greeting) {
        return greeting + " from main";
    }
}
