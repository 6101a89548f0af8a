"""Another side of the network: a running Bartizan service, asked over its JSON API."""
