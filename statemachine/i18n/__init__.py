"""Every text that people read, in both languages side by side.

text        `Text`, the two languages, and which one the environment asks for
render      every code of a message with its text, and a `Message` as a sentence in a language
The other modules hold the texts by subject.
"""
