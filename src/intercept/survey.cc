// SPDX-License-Identifier: MIT
#include "intercept/survey.h"

#include "intercept/fib.h"
#include "intercept/judge.h"
#include "net/links.h"
#include "net/proc.h"

namespace limpid {
namespace {

// Names of the tables that legacy iptables has in use; their rules can be read by iptables-legacy alone.
std::string legacy_tables() {
  std::string names;
  for (const char* const path : {"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"})
    names += proc_text(path).value_or("");
  return names;
}

void append(std::vector<Remark>& to, std::string_view about, const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences) to.push_back({about, sentence});
}

Result<> look_at_fib(const Plan& plan, Survey& survey) {
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  for (const int family : families(plan)) {
    const auto rules = fib->rules(family);
    if (!rules) return std::unexpected(rules.error());
    append(survey.conflicts, "fib-conflict", fib_conflicts(*rules, plan.settings, plan.whose));
    const auto routes = fib->routes(family, plan.settings.table);
    if (!routes) return std::unexpected(routes.error());
    append(survey.conflicts, "fib-conflict", route_conflicts(*routes, plan.settings, plan.whose));
  }
  return {};
}

Result<> look_at_links(Survey& survey) {
  const auto all = links();
  if (!all) return std::unexpected(all.error());
  const bool everywhere = proc_number("/proc/sys/net/bridge/bridge-nf-call-iptables") != 0 ||
                          proc_number("/proc/sys/net/bridge/bridge-nf-call-ip6tables") != 0;
  for (const Link& link : *all) {
    if (link.is_bridge && (everywhere || link.calls_iptables)) survey.bridge = true;
    if (link.name == "lo" && !link.is_up)
      survey.conflicts.push_back(
          {"loopback-down",
           "the interface lo is down, which intercepted packets are delivered through: ip link set lo up"});
  }
  return {};
}

void look_at_ipv6(Survey& survey) {
  if (!proc_text("/proc/thread-self/net/if_inet6") || proc_number("/proc/sys/net/ipv6/conf/lo/disable_ipv6") != 0)
    survey.degraded.push_back(
        {"ipv6",
         "IPv6 is switched off on this machine (ipv6.disable, or net.ipv6.conf.lo.disable_ipv6): its connections are "
         "not intercepted"});
}

void look_at_legacy_tables(const std::string& names, Survey& survey) {
  if (names.empty()) return;
  survey.degraded.push_back(
      {"legacy-iptables",
       "iptables-legacy is in use here, whose rules limpid cannot see: make sure by hand that they use no bits of "
       "limpid's marks, and that INPUT accepts limpid's mark"});
}

}  // namespace

Result<Surveyor> Surveyor::open() {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  return Surveyor(std::move(*nft));
}

Result<Survey> Surveyor::look(const Plan& plan, const Conditions& current) {
  Survey survey;
  const auto listing = nft_.list("ruleset");
  if (!listing) return failure_in("survey: list the nftables ruleset", listing);
  const std::vector<NftChain> chains = parse_ruleset(*listing, plan.whose);
  append(survey.conflicts, "mark-conflict", mark_conflicts(chains, plan.settings));
  append(survey.degraded, "input-drop", input_drops(chains, plan.settings));
  if (plan.handover) survey.forward_drops = forward_drops(chains, plan.settings);
  if (const auto looked = look_at_fib(plan, survey); !looked) return failure_in("survey", looked);
  if (const auto looked = look_at_links(survey); !looked) return failure_in("survey", looked);
  look_at_ipv6(survey);

  const std::string legacy = legacy_tables();
  look_at_legacy_tables(legacy, survey);
  if (!tracked_at_first_)
    tracked_at_first_ = !current.zones && proc_number("/proc/sys/net/netfilter/nf_conntrack_count") > 0;
  survey.filters = !legacy.empty() || filters_forwarding(chains);
  survey.conntrack = *tracked_at_first_ || !legacy.empty() || uses_conntrack(chains);

  const std::uint64_t sent = cookies_sent(proc_text("/proc/thread-self/net/netstat").value_or(""));
  if (!cookies_at_first_) cookies_at_first_ = sent;
  survey.cookies = proc_number("/proc/sys/net/ipv4/tcp_syncookies") == 2 || sent != *cookies_at_first_;
  return survey;
}

}  // namespace limpid
