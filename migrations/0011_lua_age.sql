-- How old the map was at least, in seconds of game time, when the first Lua ran that is known of; NULL until that is known.
ALTER TABLE game_facts ADD COLUMN lua_age INTEGER;
