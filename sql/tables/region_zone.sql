-- region_zone: the zones of a country (ISO 3166), for contacts who do not say where they are; of those that differ in nothing
-- but their names, one. Taken from the file of the tz database that PostgreSQL uses, too, when the schema is made. Where
-- that file is missing it is empty, and such a contact is taken to be where his form is.
CREATE TABLE region_zone (
	region		text PRIMARY KEY CHECK (region ~ '^[A-Z]{2}$'),
	zones		text[] NOT NULL
);
CREATE TEMPORARY TABLE zone_tab (region text, place text, name text, comments text);
\copy pg_temp.zone_tab FROM PROGRAM 'cat /usr/share/zoneinfo/zone.tab 2>/dev/null | sed -e "/^#/d" -e "s/^\([^\t]*\t[^\t]*\t[^\t]*\)$/\1\t/"; true'
INSERT INTO region_zone
SELECT d.region, array_agg(d.name ORDER BY d.name)
  FROM (SELECT DISTINCT ON (t.region, m.winter, m.summer) t.region, t.name
	  FROM zone_tab t JOIN time_zone z ON z.name = t.name
	 CROSS JOIN LATERAL (SELECT timestamptz '2026-01-15Z' AT TIME ZONE t.name AS winter, timestamptz '2026-07-15Z' AT TIME ZONE t.name AS summer) m
	 ORDER BY t.region, m.winter, m.summer, t.name) d
 GROUP BY d.region;
DROP TABLE zone_tab;
