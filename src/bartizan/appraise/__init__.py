"""Is the verified Evidence good? It collects every finding and never stops at one."""
