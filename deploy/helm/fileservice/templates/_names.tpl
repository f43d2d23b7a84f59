{{- define "fileservice.name" -}}
{{- if contains "fileservice" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-fileservice" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fileservice.selector" -}}
app.kubernetes.io/name: fileservice
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fileservice.labels" -}}
{{ include "fileservice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "fileservice.hasBucket" -}}
{{- if hasPrefix "s3://" .Values.store.url }}yes{{ end -}}
{{- end -}}

{{- define "fileservice.hasReplicas" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}yes{{ end -}}
{{- end -}}
