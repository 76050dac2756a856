"""The client library: sessions followed, changed and listed, over connections that come and go."""
