// SPDX-License-Identifier: Apache-2.0

// manifests reads Kubernetes manifests from standard input like an API server of this version with strict validation: unknown and repeated
// fields are errors. It prints the objects as JSON, one per line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, networkingv1.AddToScheme, rbacv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	strict := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme, scheme, kjson.SerializerOptions{Yaml: true, Strict: true})
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		object, _, err := strict.Decode(document, nil, nil)
		if runtime.IsMissingKind(err) && onlyComments(document) {
			continue
		}
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(object); err != nil {
			return err
		}
	}
}

// onlyComments reports whether the document is empty, like the text before the first separator.
func onlyComments(document []byte) bool {
	converted, err := yaml.ToJSON(document)
	return err == nil && string(converted) == "null"
}
