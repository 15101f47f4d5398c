# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option of every module that lets one server reach the other."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  addresses:
    description: >-
      How each server reaches the other, where it is not as this machine does. What is left out is
      as in O(source) and O(target).
    type: dict
    default: {}
    suboptions:
      source:
        description: How the target's server reaches the source.
        type: dict
        suboptions: &address
          host: {type: str, description: Host name or address.}
          port: {type: int, description: TCP port.}
          sslmode:
            description: How the certificate is checked.
            type: str
            choices: [disable, allow, prefer, require, verify-ca, verify-full]
          sslrootcert:
            type: str
            description: File with the certificate authorities to trust, on the server's host.
      target:
        description: How the source's server reaches the target, for the way back.
        type: dict
        suboptions: *address
"""
