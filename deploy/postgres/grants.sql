-- What the service and its workers may do in the application's database: three roles that nobody logs in as. The owner of
-- the tables, who may make roles, runs this in that database, again after each release and after each migration:
--
--   psql "$OWNER_URL" --set ON_ERROR_STOP=1 --file deploy/postgres/grants.sql
--
-- Logins are members of what they need, and of nothing else. One for the service and most workers, one for the workers of
-- system:cleanup and system:backup:
--
--   CREATE ROLE qjobs LOGIN PASSWORD '...' IN ROLE qjobs_reader;
--   CREATE ROLE qjobs_system LOGIN PASSWORD '...' IN ROLE qjobs_reader, qjobs_cleaner, qjobs_dumper;

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['qjobs_reader', 'qjobs_cleaner', 'qjobs_dumper'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM qjobs_reader, qjobs_cleaner, qjobs_dumper;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM qjobs_reader, qjobs_cleaner, qjobs_dumper;
GRANT USAGE ON SCHEMA public TO qjobs_reader, qjobs_cleaner, qjobs_dumper;

-- Everybody: the service, which asks who may see a form, and the jobs of export:data, analytics:calculate, file:cleanup and
-- system:cleanup. Passwords, tokens and second factors stay closed, as do the settings that hold the tokens of bots.
GRANT SELECT ON sub_forms, submissions, submission_data, files TO qjobs_reader;
GRANT SELECT (
  id, username, email, role, is_active, last_login_at, "telegramUserId", "telegramUsername", "firstName",
  "lastName", department, "notificationPreferences", "createdAt", "updatedAt"
) ON users TO qjobs_reader;
GRANT SELECT (
  id, user_id, expires_at, ip_address, user_agent, last_used_at, "createdAt", "updatedAt"
) ON sessions TO qjobs_reader;
GRANT SELECT (
  id, title, description, roles_allowed, created_by, is_active, version, table_name, data_retention_years,
  "createdAt", "updatedAt"
) ON forms TO qjobs_reader;
GRANT SELECT (
  id, form_id, sub_form_id, type, title, placeholder, required, "order", options, show_condition, validation_rules,
  show_in_table, send_telegram, telegram_order, telegram_prefix, "createdAt", "updatedAt"
) ON fields TO qjobs_reader;

-- system:cleanup, for its task old_sessions, once CLEANUP_DELETE is true. It is the only thing that any job writes.
GRANT SELECT (id, expires_at), DELETE ON sessions TO qjobs_cleaner;

-- system:backup: pg_dump reads everything, secrets too. Tables that the owner makes later are included.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO qjobs_dumper;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO qjobs_dumper;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO qjobs_dumper;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO qjobs_dumper;
