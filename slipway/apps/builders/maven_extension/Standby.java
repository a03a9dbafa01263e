package slipway;

import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Date;
import java.util.Properties;
import org.apache.maven.Maven;
import org.apache.maven.eventspy.AbstractEventSpy;
import org.apache.maven.execution.DefaultMavenExecutionRequest;
import org.apache.maven.execution.MavenExecutionRequest;
import org.apache.maven.execution.MavenExecutionResult;
import org.apache.maven.project.ProjectBuildingRequest;
import org.codehaus.plexus.PlexusContainer;
import org.eclipse.aether.DefaultRepositoryCache;

/**
 * Has Maven do what it was called for not at once, but each time it is asked, within one container:
 * its plugins stay loaded.
 *
 * <p>It listens on the socket that the property {@code slipway.socket} names. An order is lines of
 * {@code name=value}, properties of that one build, and an empty line; what the command line says
 * wins over them. The answer is a line, {@code built} or {@code failed}.
 */
public final class Standby extends AbstractEventSpy {
    private final Properties own = joined(System.getProperties(), new Properties());
    private PlexusContainer container;
    private boolean serving;

    @Override
    public void init(Context context) {
        container = (PlexusContainer) context.getData().get("plexus");
    }

    @Override
    public void onEvent(Object event) {
        if (serving || !(event instanceof MavenExecutionRequest)) {
            return;
        }
        serving = true;
        try {
            serve((MavenExecutionRequest) event);
        } catch (Exception | LinkageError error) {
            // Maven would take no notice of it, and build.
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private void serve(MavenExecutionRequest called) throws Exception {
        Path socket = Path.of(System.getProperty("slipway.socket"));
        Maven maven = container.lookup(Maven.class);
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            while (true) {
                try (SocketChannel client = server.accept()) {
                    String answer = build(maven, called, order(client)) ? "built\n" : "failed\n";
                    Channels.newOutputStream(client).write(answer.getBytes(StandardCharsets.UTF_8));
                } catch (IOException gone) {
                    // Whoever asked does not wait any more.
                }
            }
        }
    }

    private static Properties order(SocketChannel client) throws IOException {
        BufferedReader lines =
                new BufferedReader(
                        new InputStreamReader(
                                Channels.newInputStream(client), StandardCharsets.UTF_8));
        Properties found = new Properties();
        for (String line = lines.readLine(); ; line = lines.readLine()) {
            if (line == null) {
                throw new EOFException();
            }
            if (line.isEmpty()) {
                return found;
            }
            int at = line.indexOf('=');
            found.setProperty(line.substring(0, at), line.substring(at + 1));
        }
    }

    private boolean build(Maven maven, MavenExecutionRequest called, Properties order)
            throws ReflectiveOperationException {
        order.putAll(called.getUserProperties());
        MavenExecutionRequest request = copy(called);
        request.setUserProperties(order);
        // As Maven does with those of its command line; Jib reads some of its own from there.
        request.setSystemProperties(joined(called.getSystemProperties(), order));
        System.setProperties(joined(own, order));
        request.setRepositoryCache(new DefaultRepositoryCache());
        request.setStartTime(new Date());
        MavenExecutionResult result = maven.execute(request);
        return !result.hasExceptions();
    }

    private static Properties joined(Properties some, Properties more) {
        Properties all = new Properties();
        all.putAll(some);
        all.putAll(more);
        return all;
    }

    /** Maven's own copy leaves out what modules are to be built, among others. */
    private static MavenExecutionRequest copy(MavenExecutionRequest called)
            throws ReflectiveOperationException {
        MavenExecutionRequest request = new DefaultMavenExecutionRequest();
        for (Field field : DefaultMavenExecutionRequest.class.getDeclaredFields()) {
            boolean derived = ProjectBuildingRequest.class.isAssignableFrom(field.getType());
            if (!derived && !Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                field.set(request, field.get(called));
            }
        }
        return request;
    }
}
