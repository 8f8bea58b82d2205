"""Pure market mathematics: snapshot, network, offers, clearing, prices, certificate."""
