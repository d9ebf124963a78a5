{{- /* What no pod of this chart may do; not configurable on purpose. */ -}}

{{- define "yett.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* How probes speak to the management listener. */ -}}
{{- define "yett.probeScheme" -}}
scheme: {{ if .Values.config.management_tls }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- define "yett.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
