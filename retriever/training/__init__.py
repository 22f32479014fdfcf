"""Training of the `mini` profile's mapping networks, without labelled photographs."""
