"""What must hold after any fault. One pure function for each invariant; each returns what violates it.

| invariant | module |
| --- | --- |
| I1 nothing lost, I8 everybody answered, I9 poison accounted for | `accounts` |
| I2 effect once, I5 one answer, I10 senders apart | `effects`, and `causes` for I2 |
| I3 events as committed, I4 one active stream, I6 order, I7 one id one fact | `facts` |
| I11 liveness, I12 leaks | `health` |
| I13 confirms before acknowledgements | `settling` |
| I14 as if one at a time | `one_at_a_time` |

`verdict` puts all of them to one trial.
"""
