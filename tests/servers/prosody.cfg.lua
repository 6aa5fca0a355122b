-- Prosody for the tests. Names after a dollar sign are filled in by prosody.py.
run_as_root = $run_as_root
data_path = "$data"
certificates = "$data"
interfaces = { "127.0.0.1" }
c2s_ports = { $port }
c2s_direct_tls_ports = { $tls_port }
s2s_ports = {}
-- "limits" is left out: it holds every client to 10 kB a second.
modules_enabled = {
  "disco"; "roster"; "saslauth"; "tls"; "ping"; "version"; "pep"; "carbons"; "smacks";
  "blocklist"; "vcard_legacy"; "private"; "offline"; "posix"; "adhoc";
}
modules_disabled = { "s2s" }
c2s_require_encryption = true
-- The passwords lie in files that the tests write; clients still sign in with SCRAM only.
authentication = "internal_plain"
disable_sasl_mechanisms = { "PLAIN", "OAUTHBEARER" }
storage = "internal"
log = { { levels = { min = "info" }, to = "console" } }
ssl = { certificate = "$certificate", key = "$key" }

VirtualHost "$domain"
Component "conference.$domain" "muc"
Component "pubsub.$domain" "pubsub"
