{{- /* yett.yaml: what the values say, plus what only the chart can know. */ -}}

{{- define "yett.publicUrl" -}}
{{- required "config.public_url is missing: set it to the URL that clients reach identity at, for instance https://auth.example.com" .Values.config.public_url }}
{{- end }}

{{- /* The host of identity, without its port. */ -}}
{{- define "yett.publicHost" -}}
{{- regexReplaceAll ":[0-9]+$" (regexFind "[^/]+$" (include "yett.publicUrl" . | trimSuffix "/")) "" }}
{{- end }}

{{- define "yett.config" -}}
{{- range $key := list "database_url" "database_system_url" "database_owner_url" "database_admin_url" }}
{{- if hasKey $.Values.config $key }}
{{- fail (printf "config.%s is a secret and would stand in a ConfigMap: put it into the Secret that database.secretName names" $key) }}
{{- end }}
{{- end }}
{{- if hasKey .Values.config "mail_password" }}
{{- fail "config.mail_password is a secret and would stand in a ConfigMap: put it into the Secret that mail.secretName names" }}
{{- end }}
{{- if hasKey .Values.config "sink_secrets" }}
{{- fail "config.sink_secrets is a secret and would stand in a ConfigMap: put it into the Secret that sinks.secretName names" }}
{{- end }}
{{- if and .Values.geoip.claimName (hasKey .Values.config "geoip_database") }}
{{- fail "config.geoip_database is set by the chart where geoip.claimName is: drop one of the two" }}
{{- end }}
{{- range $key := list "listen" "management_listen" "data_dir" "master_key_file" }}
{{- if hasKey $.Values.config $key }}
{{- fail (printf "config.%s is set by the chart, so that probes, services and mounts meet it: see bindAddress, service and masterKey" $key) }}
{{- end }}
{{- end }}
{{- $chart := dict "public_url" (include "yett.publicUrl" .) "listen" (printf "%s:8080" .Values.bindAddress) "management_listen" (printf "%s:8081" .Values.bindAddress) }}
{{- with .Values.geoip.claimName }}
{{- $_ := set $chart "geoip_database" (printf "/etc/yett/geoip/%s" $.Values.geoip.file) }}
{{- end }}
{{- with .Values.config.forward_auth }}
{{- if hasKey . "listen" }}
{{- fail "config.forward_auth.listen is set by the chart, so that its service meets it: see bindAddress and service" }}
{{- end }}
{{- $_ := set $chart "forward_auth" (dict "listen" (printf "%s:8082" $.Values.bindAddress)) }}
{{- end }}
{{- merge $chart .Values.config | toYaml }}
{{- end }}
