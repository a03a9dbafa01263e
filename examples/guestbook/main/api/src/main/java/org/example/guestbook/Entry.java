package org.example.guestbook;

/** How this branch shows entries. */
final class Entry {

    static final String ALL = "SELECT text FROM entry ORDER BY number";

    private Entry() {
    }
}
