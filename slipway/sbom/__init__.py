"""Bills of materials: what the bundle and the images of apps are made of, as CycloneDX has it."""
