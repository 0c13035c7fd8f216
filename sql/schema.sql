-- schema: the whole of it, from nothing. Run by contrib/quickstart and callbackctl:
--     psql -v ON_ERROR_STOP=1 -1 -f sql/schema.sql
-- An existing database is brought forward by sql/upgrade/NNN.sql instead.
CREATE SCHEMA callbackd;
SET search_path = callbackd, public;

\ir tables/meta.sql
\ir tables/region_zone.sql
\ir tables/tenant.sql
\ir tables/epoch.sql
\ir tables/event.sql
\ir tables/company.sql
\ir tables/callback.sql
\ir tables/suppression.sql
\ir tables/slot.sql
\ir tables/rules.sql
\ir tables/agent.sql
\ir tables/node.sql
\ir tables/transition.sql
\ir functions/all.sql
