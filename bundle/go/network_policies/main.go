// Command network_policies enforces the NetworkPolicies of a cluster on one node. The kernel asks it of
// each new connection from or to a pod, and it decides by the engine of kube-network-policies.
//
// What is asked is a table of its own: the engine's own has sets of the pods that are known by then, so
// that a pod's first connections pass unasked, and it needs an expression that some kernels lack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

const (
	queueNumber  = 100
	startTimeout = time.Minute
	lookInterval = time.Second
	// The engine's own table never has a pod in it, as no node has this name.
	nowhere    = "-"
	idleTable  = "kube-network-policies-idle"
	ourTable   = "kube-network-policies"
	bridgeKnob = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	queuesFile = "/proc/net/netfilter/nfnetlink_queue"
)

func main() {
	pods := flag.String("pods", "", "the addresses of all pods, an IPv4 network")
	health := flag.String("health", "127.0.0.1:9082", "where /readyz answers")
	flag.Parse()
	log.SetFlags(0)
	network, err := netip.ParsePrefix(*pods)
	if err != nil || !network.Addr().Is4() {
		log.Fatalf("-pods is %q: it has to be an IPv4 network, as in 10.244.0.0/16", *pods)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := enforce(ctx, network.Masked(), *health); err != nil {
		log.Fatalf("NetworkPolicies are not enforced on this node: %v", err)
	}
}

// enforce runs the engine until the context ends, and then takes the table away. After any other end
// the table stays, so that nothing gets through unasked.
func enforce(ctx context.Context, pods netip.Prefix, health string) error {
	engine, err := newEngine(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- engine.Run(ctx) }()
	var ready atomic.Bool
	http.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(answer, "nothing is enforced yet", http.StatusServiceUnavailable)
		}
	})
	go func() { ended <- http.ListenAndServe(health, nil) }()

	began := time.Now()
	look := time.NewTicker(lookInterval / 10)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if ctx.Err() == nil {
				return errors.Join(errors.New("the engine ended"), err)
			}
		case <-ctx.Done():
			return removeTable()
		case <-look.C:
			if err := see(pods, &ready); err == nil {
				look.Reset(lookInterval)
			} else if ready.Load() || time.Since(began) > startTimeout {
				return err
			}
		}
	}
}

// see has the table in the kernel if somebody answers its questions.
func see(pods netip.Prefix, ready *atomic.Bool) error {
	if err := canAsk(); err != nil {
		return err
	}
	if !hasTable(pods) {
		if err := writeTable(pods); err != nil {
			return err
		}
		if !hasTable(pods) {
			return errors.New("the kernel took the rules and does not have them")
		}
	}
	ready.Store(true)
	return nil
}

func newEngine(ctx context.Context) (*networkpolicy.Controller, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	made, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		nil, nil, nil, nil,
		networkpolicy.Config{NodeName: nowhere, NFTableName: idleTable, QueueID: queueNumber},
	)
	if err != nil {
		return nil, fmt.Errorf("the engine cannot be made: %w", err)
	}
	factory.Start(ctx.Done())
	return made, nil
}
