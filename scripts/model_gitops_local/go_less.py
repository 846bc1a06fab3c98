"""What the tools of the demo are built without, and the modules that they are made of together."""

from __future__ import annotations

from model_gitops_local.go_build import WHOLE, Less

BUILDX_VERSION, BUILDKIT_VERSION = "v0.30.1", "v0.26.3"
# What several of the demo's tools are made of, at the newest version that one of them asks for.
_SHARED = (
    f"github.com/docker/buildx@{BUILDX_VERSION}",
    f"github.com/moby/buildkit@{BUILDKIT_VERSION}",
    "github.com/ProtonMail/go-crypto@v1.3.0",
    "github.com/cloudflare/circl@v1.6.3",
    "github.com/cpuguy83/go-md2man/v2@v2.0.7",
    "github.com/docker/go-connections@v0.6.0",
    "github.com/rivo/uniseg@v0.4.7",
    "github.com/spf13/pflag@v1.0.10",
    "golang.org/x/crypto@v0.50.0",
    "golang.org/x/net@v0.53.0",
    "golang.org/x/sync@v0.20.0",
    "golang.org/x/sys@v0.43.0",
    "golang.org/x/term@v0.42.0",
    "golang.org/x/text@v0.36.0",
    "google.golang.org/protobuf@v1.36.10",
)

# It asks for no image, and nobody reads its manual.
ACT = Less(
    "github.com/nektos/act",
    {
        "cmd/root.go": (
            r'^\s*"(bytes|.*/survey/v2|.*/cobra/doc)"\n',
            r"^\tconfirmation := &survey(?s:.*?)(?=^\tvar option)",
            r"^.*return generateManPage\(.*\n",
            r"^func generateManPage\((?s:.*?)^}\n",
        ),
    },
    beside=_SHARED,
)

# No builder here is in a Kubernetes cluster, no cache in S3, and nobody calls `buildx bake`.
BUILDX = Less(
    "github.com/docker/buildx",
    {
        "cmd/buildx/main.go": (r'^\s*_ ".*/(driver/kubernetes|client/auth/oidc)"\n',),
        "build/opt.go": (
            r'^\s*(awsconfig "|addAwsCredentials\().*\n',
            r"^func addAwsCredentials\((?s:.*?)^}\n",
        ),
        "commands/bake.go": WHOLE,
        "commands/root.go": (r"^\s*bakeCmd\(.*\n",),
        "util/cobrautil/completion/completion.go": (
            r'^\s*".*/buildx/bake"\n',
            r"^func BakeTargets\((?s:.*?)^}\n",
        ),
    },
    beside=_SHARED,
)

# It runs containers by runc, not by containerd, and on the host's network. Of the caches elsewhere
# only GitHub's is used, no snapshot is fetched lazily, and nobody reads traces, metrics or profiles.
BUILDKIT = Less(
    "github.com/moby/buildkit",
    {
        "cmd/buildkitd/main.go": (
            r"^.*\b(azblob|s3remotecache)\b.*\n",
            r'^.*/(tracing/detect/jaeger|util/profiler|exporters/prometheus)"\n',
            r'^.*/grpc/reflection"\n',
            r"^\s*(profiler\.Attach|reflection\.Register|cacheStoreForDebug =).*\n",
            r"^\tif r, err := prometheus\.New\(\)(?s:.*?)^\t}\n",
            r"^\t\tif cfg\.GRPC\.DebugAddress(?s:.*?)^\t\t}\n",
        ),
        "cmd/buildkitd/debug.go": WHOLE,
        "cmd/buildkitd/debug_flight.go": WHOLE,
        "cmd/buildkitd/main_oci_worker.go": (
            r'^\s*(sgz\w+|remotesn) ".*\n',
            r'^\s*"(fmt|path/filepath|strings)"\n',
            r'^.*/(go-toml|logrus|pkg/reference|resolver|cniprovider)"\n',
            r'^\tcase "stargz":(?s:.*?)(?=^\tdefault:)',
            r"^func sourceWithSession\((?s:.*?)^}\n",
            r"^\t\tCNI: (?s:.*?)^\t\t},\n",
        ),
        "util/network/netproviders/network.go": (
            r'^\s*"(os|strconv|.*/cniprovider)"\n',
            r"^\tCNI .*\n",
            r'^\tcase "cni":(?s:.*?)(?=^\tcase "host")',
            r'^\tcase "bridge":(?s:.*?)(?=^\tcase "auto")',
            r"^\t\tif v, err := strconv(?s:.*?)(?=^\t\t\t.*getFallback)",
            r"(?<=getFallback\(\)\n)\t\t}\n",
        ),
        "util/network/netproviders/network_linux.go": WHOLE,
        "cmd/buildkitd/main_containerd_worker.go": WHOLE,
        "cmd/buildkitd/main_containerd_worker_unix.go": WHOLE,
        "cmd/buildkitd/main_containerd_worker_windows.go": WHOLE,
    },
    beside=_SHARED,
)
