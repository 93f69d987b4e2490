"""Campaign files: published facts, assumptions apart from them, and how the made-up citizens behave.

`campaign` is what a file says; `table` reads TOML and names the key of each complaint; `reading` goes through a
file, with `measures` for what other systems counted and `rechecks` for rounds over population data; `checks` refuses
figures that don't add up.
"""
