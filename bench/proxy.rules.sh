# The fib rules and routes that limpid installs.
for family in -4 -6; do
  ip $family rule add priority 99 iif lo fwmark 0x10000000/0x10000000 goto 101
  ip $family rule add priority 100 fwmark 0x10000000/0x10000000 lookup 5300
  ip $family rule add priority 101 iif lo fwmark 0x20000000/0x20000000 lookup 5300
  ip $family route add local default dev lo table 5300
done
