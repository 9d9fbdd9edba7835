{{- define "whodunit.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "whodunit.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "whodunit.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "whodunit.selectorLabels" -}}
app.kubernetes.io/name: {{ include "whodunit.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "whodunit.labels" -}}
{{ include "whodunit.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "whodunit.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "whodunit.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The reference of an image: (list image appVersion). */}}
{{- define "whodunit.image" -}}
{{- $image := index . 0 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) }}
{{- end }}
{{- end }}

{{- /* Before Kubernetes 1.30, an annotation has the AppArmor profile. */}}
{{- define "whodunit.hasAppArmorField" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{- define "whodunit.appArmorAnnotation" -}}
{{- with .Values.loader.appArmorProfile }}
{{- if eq .type "Localhost" }}localhost/{{ .localhostProfile }}{{ else if eq .type "RuntimeDefault" }}runtime/default{{ else }}unconfined{{ end }}
{{- end }}
{{- end }}

{{- /* OTEL_RESOURCE_ATTRIBUTES: in a pod, the host name is the pod's, so host.name is set to the node's name. */}}
{{- define "whodunit.resourceAttributes" -}}
host.name=$(NODE_NAME)
{{- range $key, $value := .Values.resourceAttributes }},{{ $key }}={{ $value | toString | replace "%" "%25" | replace "," "%2C" | replace "=" "%3D" }}{{ end }}
{{- end }}
