"""The second hosted broker: Mosquitto, whose dynamic-security plugin is kept equal to the REGISTRY."""
