"""Every text that people read, in both languages side by side.

text        `Text`, the two languages, and which one the environment asks for
render      a `Message` as a sentence in a language
catalogue   every code of a message with its text; the modules below hold them by subject
"""
