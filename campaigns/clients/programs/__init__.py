"""Scripts that use a client library as its documentation says. Each runs with the Python that has the library.

The arguments are the URL of the server, a folder with the graph `invert.json`, and the picture that it loads. The
script writes `result.png` to the folder.
"""
