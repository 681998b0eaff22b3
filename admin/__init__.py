"""The common admin program: its protocol table, its server side, its client API and `virtadm`."""
