package org.example.greeter;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Answers with the configured greeting, and says when it is fit to answer. */
@RestController
class GreetingController {

    private final String greeting;

    GreetingController(@Value("${greeter.greeting}") String greeting) {
        this.greeting = greeting;
    }

    @GetMapping(path = "/", produces = MediaType.TEXT_PLAIN_VALUE)
    String greet() {
        return Greeting.from(greeting) + "\n";
    }

    @GetMapping(path = "/healthz", produces = MediaType.TEXT_PLAIN_VALUE)
    String health() {
        return "ok\n";
    }
}
