"""What every rendered manifest is held to. A rule says in words what is wrong; nothing said: all is well."""
