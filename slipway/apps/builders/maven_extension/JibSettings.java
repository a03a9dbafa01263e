package slipway;

import org.apache.maven.eventspy.AbstractEventSpy;
import org.apache.maven.execution.ExecutionEvent;
import org.apache.maven.plugin.MojoExecution;
import org.codehaus.plexus.util.xml.Xpp3Dom;

/**
 * Tells Jib what no property can, where a pom says otherwise.
 *
 * <p>Jib is called for an image: that it is to be skipped is said of other calls. Those that a pom
 * binds to a phase are for a registry, or for Docker's engine, and what they make is not used.
 */
public final class JibSettings extends AbstractEventSpy {
    @Override
    public void onEvent(Object event) {
        if (!(event instanceof ExecutionEvent)
                || ((ExecutionEvent) event).getType() != ExecutionEvent.Type.MojoStarted) {
            return;
        }
        MojoExecution mojo = ((ExecutionEvent) event).getMojoExecution();
        if (mojo.getGroupId().equals("com.google.cloud.tools")
                && mojo.getArtifactId().equals("jib-maven-plugin")) {
            set(mojo.getConfiguration(), "skip", mojo.getSource() != MojoExecution.Source.CLI);
            boolean insecure = Boolean.getBoolean("jib.allowInsecureRegistries");
            set(mojo.getConfiguration(), "allowInsecureRegistries", insecure);
        }
    }

    private static void set(Xpp3Dom settings, String name, boolean value) {
        Xpp3Dom setting = settings.getChild(name);
        if (setting == null) {
            setting = new Xpp3Dom(name);
            settings.addChild(setting);
        }
        setting.setValue(Boolean.toString(value));
    }
}
