package org.example.guestbook;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;
import org.springframework.web.util.HtmlUtils;

/** Shows what guests have written, and lets them write. It keeps nothing itself. */
@RestController
class PageController {

    private static final MediaType TEXT = new MediaType("text", "plain", StandardCharsets.UTF_8);

    private static final String PAGE = """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>Guestbook</title>
            <h1>Guestbook</h1>
            <ul>
            %s
            </ul>
            <form method="post"><input name="text" maxlength="200" required><button>Write</button></form>
            </html>
            """;

    private final RestClient api;

    PageController(@Value("${guestbook.api}") String api) {
        this.api = RestClient.create(api);
    }

    @GetMapping(path = "/", produces = "text/html;charset=utf-8")
    String page() {
        String entries = api.get().uri("/entries").retrieve().body(String.class);
        return PAGE.formatted((entries == null ? "" : entries).lines()
                .map(entry -> "<li>" + HtmlUtils.htmlEscape(entry, "UTF-8") + "</li>")
                .collect(Collectors.joining("\n")));
    }

    @PostMapping("/")
    ResponseEntity<Void> write(@RequestParam String text) {
        api.post().uri("/entries").contentType(TEXT).body(text).retrieve().toBodilessEntity();
        return ResponseEntity.status(HttpStatus.SEE_OTHER).location(URI.create("/")).build();
    }

    @GetMapping(path = "/healthz", produces = MediaType.TEXT_PLAIN_VALUE)
    String health() {
        return "ok\n";
    }
}
