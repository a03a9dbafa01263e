"""The bundle: everything a node gets, in one directory on the controller.

Layout of a bundle directory, but for what is said the same whichever provider filled it::

    bin/        what runs on a node outside a container (kubelet, containerd, ...)
    cni/        CNI plugins
    images/     an OCI image layout with every image of the cluster and every base image
    nft/        nft with its libraries, as machines may have another one or none
    haproxy/    of load balancers, with its libraries; so is keepalived/
    manifests/  Kubernetes manifests of the add-ons
    tools/      what this machine runs (BuildKit, a registry, docker buildx, Helm)
    node/       out of an archive: an OCI image layout with the node image of all that
    licences/   out of an archive: of packages and modules
    manifest.json   sha256 and size of every file above, and the versions that went in
"""
