"""What a regulator asks for: reports in three languages, and a form for leaks.

`sheet` is a report and how it is written, `filed` what was announced, `leak` the form.
"""
