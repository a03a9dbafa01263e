package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// A rule is the expressions of one rule.
type rule []expr.Any

// canAsk says what keeps packets from being asked about.
func canAsk() error {
	if knob, err := os.ReadFile(bridgeKnob); err == nil && strings.TrimSpace(string(knob)) != "1" {
		return errors.New("packets between pods of this node are not seen: " + bridgeKnob + " has to be 1")
	}
	queues, _ := os.ReadFile(queuesFile) // there is none before anybody listens
	for line := range strings.Lines(string(queues)) {
		if number, _, _ := strings.Cut(strings.TrimSpace(line), " "); number == fmt.Sprint(queueNumber) {
			return nil
		}
	}
	return errors.New("the engine does not listen: it has not heard all from the API server yet")
}

// writeTable puts the table into the kernel, in place of what there is of it.
func writeTable(pods netip.Prefix) error {
	native := writeRules(pods, &expr.Queue{Num: queueNumber})
	if native == nil {
		return nil
	}
	// A kernel without the expression may have iptables' target, of which the fields are the queue,
	// how many there are, and flags.
	info := xt.Unknown(binaryutil.NativeEndian.PutUint16(queueNumber))
	info = append(info, binaryutil.NativeEndian.PutUint16(1)...)
	info = append(info, 0, 0, 0, 0)
	target := writeRules(pods, &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info})
	if target == nil {
		return nil
	}
	return fmt.Errorf(
		"the kernel has neither nft_queue (CONFIG_NFT_QUEUE: %w) nor, as a target of nftables, "+
			"xt_NFQUEUE (CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_TARGET_NFQUEUE: %w)", native, target)
}

func writeRules(pods netip.Prefix, ask expr.Any) error {
	kernel, err := nftables.New()
	if err != nil {
		return err
	}
	for _, name := range []string{idleTable, ourTable} {
		kernel.AddTable(table(name))
		kernel.DelTable(table(name))
	}
	ours := kernel.AddTable(table(ourTable))
	for _, chain := range chains() {
		chain.Table = ours
		kernel.AddChain(chain)
		for _, each := range rules(chain, pods, ask) {
			kernel.AddRule(&nftables.Rule{Table: ours, Chain: chain, Exprs: each})
		}
	}
	return kernel.Flush()
}

// hasTable says whether the kernel has all the rules.
func hasTable(pods netip.Prefix) bool {
	kernel, err := nftables.New()
	if err != nil {
		return false
	}
	for _, chain := range chains() {
		chain.Table = table(ourTable)
		found, err := kernel.GetRules(chain.Table, chain)
		if err != nil || len(found) != len(rules(chain, pods, nil)) {
			return false
		}
	}
	return true
}

func removeTable() error {
	kernel, err := nftables.New()
	if err != nil {
		return err
	}
	kernel.AddTable(table(ourTable))
	kernel.DelTable(table(ourTable))
	return kernel.Flush()
}

func table(name string) *nftables.Table {
	return &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
}

// chains are where packets are asked about: once the address of a service has become that of a pod,
// and before the address of a pod becomes that of the node.
//
// Names are asked for by two datagrams at once, of which kernels before 6.12 lose one that is asked
// about where all others are; so these are asked about on their way in.
func chains() []*nftables.Chain {
	after := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest + 5)
	before := nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource - 5)
	filter := nftables.ChainTypeFilter
	return []*nftables.Chain{
		{Name: "names", Type: filter, Hooknum: nftables.ChainHookPrerouting, Priority: after},
		{Name: "connections", Type: filter, Hooknum: nftables.ChainHookPostrouting, Priority: before},
	}
}

func rules(chain *nftables.Chain, pods netip.Prefix, ask expr.Any) []rule {
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	known := append(isKnown(), accept)
	from, to := isOf(pods, 12), isOf(pods, 16)
	if chain.Name == "names" {
		return []rule{known, append(append(isName(), from...), ask), append(append(isName(), to...), ask)}
	}
	// The node reaches its pods: a packet that has a socket here is its own.
	own := rule{&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, accept}
	return []rule{known, own, append(isName(), accept), append(from, ask), append(to, ask)}
}

func isKnown() rule {
	states := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	none := make([]byte, 4)
	return rule{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: states, Xor: none},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: none},
	}
}

func isName() rule {
	return rule{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(53)},
	}
}

// isOf is whether the address at an offset of the header is in a network.
func isOf(network netip.Prefix, offset uint32) rule {
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - network.Bits()))
	return rule{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.NFPROTO_IPV4}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: network.Addr().AsSlice()},
	}
}
